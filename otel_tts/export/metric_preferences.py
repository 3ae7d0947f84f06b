# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE and …_DEFAULT_HISTOGRAM_AGGREGATION."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation

_logger = logging.getLogger("otel_tts.export")

_TEMPORALITY: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_HISTOGRAM: Final = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
_EXPLICIT: Final = "explicit_bucket_histogram"
_EXPONENTIAL: Final = "base2_exponential_bucket_histogram"
_ALL: Final = (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge)
_DELTA: Final = {
    "cumulative": (),
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
}


def temporality(environ: Mapping[str, str] | None = None) -> dict[type, AggregationTemporality]:
    """Return each kind of instrument's temporality."""
    asked = _read(environ, _TEMPORALITY)
    if asked and asked not in _DELTA:
        _logger.warning("otel-tts: %s is none of %s; cumulative is used", _TEMPORALITY, ", ".join(_DELTA))
    delta = _DELTA.get(asked, ())
    return {k: AggregationTemporality.DELTA if k in delta else AggregationTemporality.CUMULATIVE for k in _ALL}


def aggregation(environ: Mapping[str, str] | None = None) -> dict[type, Any]:
    """Return how histograms aggregate."""
    asked = _read(environ, _HISTOGRAM)
    if asked == _EXPONENTIAL:
        return {Histogram: ExponentialBucketHistogramAggregation()}
    if asked not in ("", _EXPLICIT):
        _logger.warning("otel-tts: %s is none of %s, %s; the former is used", _HISTOGRAM, _EXPLICIT, _EXPONENTIAL)
    return {Histogram: ExplicitBucketHistogramAggregation()}


def _read(environ: Mapping[str, str] | None, name: str) -> str:
    return (os.environ if environ is None else environ).get(name, "").strip().lower()

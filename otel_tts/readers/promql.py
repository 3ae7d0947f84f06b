# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a metric of ours is called in Prometheus, and PromQL for what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otel_tts.names import Metric
from otel_tts.readers.quoted import quoted

if TYPE_CHECKING:
    from otel_tts.readers.stores import Question

UNIT_SUFFIXES = {"s": "seconds", "By": "bytes", "J": "joules", "W": "watts", "Cel": "celsius", "dB": "dB"}


def translate(metric: Metric) -> str:
    """The name that Prometheus gives a metric (UnderscoreEscapingWithSuffixes), without `_bucket`, `_sum`, `_count`.

    A ratio (unit 1) gets a suffix when it is a gauge and none when it is a histogram.
    https://github.com/prometheus/otlptranslator
    """
    parts = [label(metric.name)]
    if metric.unit in UNIT_SUFFIXES:
        parts.append(UNIT_SUFFIXES[metric.unit])
    elif metric.unit == "1" and metric.kind == "gauge":
        parts.append("ratio")
    if metric.kind == "counter":
        parts.append("total")
    return "_".join(parts)


def label(name: str) -> str:
    """The name that Prometheus gives an attribute: nothing is left in it that PromQL could read as more than a name."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name, flags=re.ASCII)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


def select(metric: Metric, labels: Mapping[str, str], part: str = "") -> str:
    """The series of a metric with these labels; `part` is `_bucket`, `_sum` or `_count`."""
    matchers = ",".join(f"{label(name)}={quoted(value)}" for name, value in labels.items())
    return f"{translate(metric)}{part}{{{matchers}}}"


def counted(series: str, window: str) -> str:
    """By how much counters grew in a window, with those that began or ended in it.

    increase() does not see a counter's first value, and a rare failure often is its series' first: a new outcome of a
    new voice in a new worker. After a gap in the data of more than the window, everything before counts once more.
    """
    now = f"last_over_time({series}[{window}])"
    return f"(({now} - {series} offset {window}) >= 0 or {now})"


def promql(question: Question) -> str:
    """The question in PromQL."""
    metric, window = question.metric, f"{round(question.window * 1000)}ms"
    kept = [label(name) for name in question.by]

    def total(expression: str, *more: str) -> str:
        return f"sum by ({', '.join((*more, *kept))}) ({expression})"

    def grown(part: str = "", *more: str) -> str:
        return total(counted(select(metric, question.labels, part), window), *more)

    count = "_count" if metric.kind == "histogram" else ""
    match question.show:
        case "value":
            return total(f"last_over_time({select(metric, question.labels)}[{window}])")
        case "increase":
            return grown(count)
        case "rate":
            return f"{grown(count)} / {question.window!r}"
        case "mean":
            return f"{grown('_sum')} / {grown('_count')}"
        case "quantile":
            return f"histogram_quantile({question.share!r}, {grown('_bucket', 'le')})"

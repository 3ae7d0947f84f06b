# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Metric points at half of the SDK's cost: an instrument that remembers where the points of a set of labels add up.

For each point the SDK cleans the labels, copies them and makes a key of them. Ours are the same few strings thousands
of times over, so the first point with a set of labels goes through the SDK, and those after it go straight to the
aggregations that it made: the same views, exemplar filter and reservoirs.

The private names of OpenTelemetry's metrics that this relies on are in here only, and what they do is pinned by
tests/unit/otel_private/test_points.py. Where one is gone, every point goes through the SDK.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context

_MAX_SERIES: Final = 10_000
"""Sets of labels that one instrument remembers; metrics.py bounds them far lower."""


class _Measurement(NamedTuple):
    """What aggregations read of the SDK's Measurement. The labels are shared: nobody changes them."""

    value: float
    time_unix_nano: int
    instrument: Any
    context: Context
    attributes: Mapping[str, str]


class Points:
    """Takes the place of an SDK counter or histogram in one thread at a time. Labels have strings as values."""

    def __init__(self, instrument: Any) -> None:
        self._instrument = instrument
        self._through: Any = getattr(instrument, "record", None) or instrument.add
        self._known: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], list[Any]]] = {}
        self._storages: Any = None
        try:
            self._consumer = instrument._measurement_consumer
            self._is_enabled = instrument._is_enabled
            self._keeps_exemplar = self._consumer._sdk_config.exemplar_filter.should_sample
            self._short = isinstance(self._consumer._reader_storages, Mapping)
        except AttributeError:
            self._short = False

    def record(self, value: float, labels: Mapping[str, str], context: Context | None = None) -> None:
        """Record a point, or add to a counter; `context` names the span for the exemplar."""
        if not self._short or context is None or not self._is_enabled() or not math.isfinite(value) or value < 0:
            self._through(value, labels, context)
            return
        if self._storages is not self._consumer._reader_storages:  # replaced, never changed, with each reader
            self._storages = self._consumer._reader_storages
            self._known.clear()
        key = tuple(labels.items())
        known = self._known.get(key)
        if known is None:
            self._through(value, labels, context)
            self._remember(key)
            return
        attributes, aggregations = known
        stamp = time.time_ns()
        sampled = self._keeps_exemplar(value, stamp, attributes, context)
        measurement = _Measurement(value, stamp, self._instrument, context, attributes)
        for aggregation in aggregations:
            aggregation.aggregate(measurement, sampled)

    def forget(self) -> None:
        """In a forked child: its metrics begin anew, and these aggregations are no longer looked at."""
        self._known.clear()

    def _remember(self, key: tuple[tuple[str, str], ...]) -> None:
        labels = dict(key)
        if len(self._known) < _MAX_SERIES:
            try:
                self._known[key] = labels, self._find(labels)
            except (AttributeError, LookupError):
                self._short = False

    def _find(self, labels: dict[str, str]) -> list[Any]:
        """Return the aggregations, one for each reader and view, that the labels' first point has made."""
        found: list[Any] = []
        for storage in self._storages.values():
            for match in storage._instrument_view_instrument_matches[self._instrument]:
                keys = match._view._attribute_keys
                kept = labels if keys is None else {key: value for key, value in labels.items() if key in keys}
                found.append(_only(a for a in list(match._attributes_aggregation.values()) if a._attributes == kept))
        return found


def narrow_exemplars(provider: Any, narrow: Callable[[Any], Any]) -> bool:
    """Put what `narrow` returns in the place of an SDK provider's exemplar filter. False where it has none."""
    configuration: Any = getattr(getattr(provider, "_measurement_consumer", None), "_sdk_config", None)
    before = getattr(configuration, "exemplar_filter", None)
    if before is None:
        return False
    configuration.exemplar_filter = narrow(before)
    return True


def _only(found: Any) -> Any:
    first = next(found, None)
    if first is None:
        raise LookupError("the SDK keeps its aggregations elsewhere")
    return first

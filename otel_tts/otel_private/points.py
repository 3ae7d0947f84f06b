# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Metric points at a tenth of the SDK's cost: added up here, and handed to the SDK when somebody collects.

For each point the SDK cleans the labels, copies them, makes a key of them, takes locks and offers an exemplar. Ours are
the same few strings thousands of times over. So the first point with a set of labels goes through the SDK, which makes
the aggregations; those after it are a bisection and a few additions in here, and when a reader collects, their sum goes
into those aggregations: the same views, temporality, exemplar filter and reservoirs as ever. Of the exemplars of one
bucket the last one is offered, which is the one that the SDK's reservoir keeps.

What cannot be added up (exponential histograms, several views with other buckets) goes to the aggregations at once.

The private names of OpenTelemetry's metrics that this relies on are in here only, and what they do is pinned by
tests/unit/otel_private/test_points.py. Where one is gone, every point goes through the SDK.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.metrics._internal.aggregation import _ExplicitBucketHistogramAggregation, _SumAggregation
from opentelemetry.sdk.metrics._internal.exemplar import TraceBasedExemplarFilter
from opentelemetry.trace import NonRecordingSpan, SpanContext

from otel_tts.otel_private.context import SPAN_KEY

_MAX_SERIES: Final = 10_000
"""Sets of labels that one instrument remembers; metrics.py bounds them far lower."""


Labels = tuple[tuple[str, Any], ...]
"""Labels as pairs of their names and values: the same ones are the same key, without making one."""


class Place(Protocol):
    """The context that a point is recorded in, and the span of that, which its exemplar names."""

    @property
    def inside(self) -> Context: ...
    @property
    def identity(self) -> SpanContext | None: ...


class _Inside(NamedTuple):
    inside: Context
    identity: SpanContext | None


class _Measurement(NamedTuple):
    """What aggregations read of the SDK's Measurement. The labels are shared: nobody changes them."""

    value: float
    time_unix_nano: int
    instrument: Any
    context: Context
    attributes: Mapping[str, Any]


class _Series:
    """The points of one set of labels since the last collection. Without edges they cannot be added up."""

    __slots__ = ("aggregations", "counts", "edges", "exemplars", "highest", "labels", "lowest", "total")

    def __init__(self, labels: dict[str, Any], aggregations: list[Any], edges: Sequence[float] | None) -> None:
        self.labels, self.aggregations, self.edges = labels, aggregations, edges
        self.begin()

    def begin(self) -> None:
        self.counts = [0] * (len(self.edges or ()) + 1)
        self.exemplars: dict[int, tuple[float, int, SpanContext | None]] = {}
        self.total: float = 0
        self.lowest, self.highest = math.inf, -math.inf


class Points:
    """Takes the place of an SDK counter or histogram in one thread at a time. Labels are strings, or numbers."""

    def __init__(self, instrument: Any) -> None:
        self._instrument = instrument
        self._through: Any = getattr(instrument, "record", None) or instrument.add
        self._known: dict[Labels, _Series] = {}
        self._storages: Any = None
        self._lock = threading.Lock()
        self._waiting: dict[int, _Series] = {}
        try:
            self._consumer = instrument._measurement_consumer
            self._is_enabled = instrument._is_enabled
            self._configuration = self._consumer._sdk_config
            self._short = isinstance(self._consumer._reader_storages, Mapping) and hasattr(
                self._configuration, "exemplar_filter"
            )
            self._consumer.register_asynchronous_instrument(self)  # whose callbacks come first in each collection
        except AttributeError:
            self._short = False

    @property
    def are_read(self) -> bool:
        """Whether any reader collects them; without one there is nothing to record for."""
        return not self._short or bool(self._consumer._reader_storages)

    def record(self, value: float, labels: Mapping[str, Any], context: Context | None = None) -> None:
        """Record a point, or add to a counter; `context` names the span for the exemplar."""
        if context is None:
            self._through(value, labels, context)
        else:
            span: Any = context.get(SPAN_KEY)
            identity = span.get_span_context() if span is not None else None
            self.record_at(value, tuple(labels.items()), _Inside(context, identity))

    def record_at(self, value: float, labels: Labels, place: Place) -> None:
        """As `record` for who has the labels as pairs and the span at hand: the dozen points of each request."""
        series = self._known.get(labels)
        if (
            series is None
            or series.edges is None
            or self._storages is not self._consumer._reader_storages
            or not 0 <= value < math.inf
            or not self._is_enabled()
        ):
            self._record_slowly(value, labels, place.inside)
            return
        identity, stamp = place.identity, time.time_ns()
        wanted: Any = self._configuration.exemplar_filter
        if type(wanted) is TraceBasedExemplarFilter:  # most of its time goes into comparing spans
            keeps = identity is not None and identity[3] & 1
        else:
            keeps = wanted.should_sample(value, stamp, series.labels, place.inside)
        bucket = bisect_left(series.edges, value)
        with self._lock:
            series.counts[bucket] += 1
            series.total += value
            if value < series.lowest:
                series.lowest = value
            if value > series.highest:
                series.highest = value
            if keeps:
                series.exemplars[bucket] = (value, stamp, identity)
            self._waiting[id(series)] = series

    def _record_slowly(self, value: float, labels: Labels, context: Context) -> None:
        """Record a point whose series is not known yet, or that cannot be added up here."""
        if not self._short or not 0 <= value < math.inf or not self._is_enabled():
            self._through(value, dict(labels), context)
            return
        if self._storages is not self._consumer._reader_storages:  # replaced, never changed, with each reader
            self.callback()
            self._storages = self._consumer._reader_storages
            self._known.clear()
        series = self._known.get(labels)
        if series is None or series.edges is not None:
            self._through(value, dict(labels), context)
            self._remember(labels)
        else:
            self._aggregate(series, value, context)

    def _aggregate(self, series: _Series, value: float, context: Context) -> None:
        stamp = time.time_ns()
        sampled = self._configuration.exemplar_filter.should_sample(value, stamp, series.labels, context)
        measurement = _Measurement(value, stamp, self._instrument, context, series.labels)
        for aggregation in series.aggregations:
            aggregation.aggregate(measurement, sampled)

    # --- collections --------------------------------------------------------------------------------------------------

    def callback(self, options: object = None) -> tuple[()]:
        """Hand over what was added up, before a reader collects; in the form of an observable instrument."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
            for series in waiting:
                for aggregation in series.aggregations:
                    _merge(aggregation, series)
                    for value, stamp, identity in series.exemplars.values():
                        context = _context_of(identity)
                        measurement = _Measurement(value, stamp, self._instrument, context, series.labels)
                        aggregation._sample_exemplar(measurement, True)
                series.begin()
        return ()

    def forget(self) -> None:
        """In a forked child: its metrics begin anew, and these aggregations are no longer looked at."""
        self._lock, self._waiting = threading.Lock(), {}
        self._known.clear()

    # --- series -------------------------------------------------------------------------------------------------------

    def _remember(self, key: Labels) -> None:
        labels = dict(key)
        if len(self._known) < _MAX_SERIES:
            try:
                found = self._find(labels)
                self._known[key] = _Series(labels, found, _edges_of(found))
            except (AttributeError, LookupError):
                self._short = False

    def _find(self, labels: dict[str, Any]) -> list[Any]:
        """Return the aggregations, one for each reader and view, that the labels' first point has made."""
        found: list[Any] = []
        for storage in self._storages.values():
            for match in storage._instrument_view_instrument_matches[self._instrument]:
                keys = match._view._attribute_keys
                kept = labels if keys is None else {key: value for key, value in labels.items() if key in keys}
                found.append(_only(a for a in list(match._attributes_aggregation.values()) if a._attributes == kept))
        return found


def _context_of(identity: SpanContext | None) -> Context:
    """Only the ids were kept of a point's context: what else is in it must not stay alive until the collection."""
    return Context({SPAN_KEY: NonRecordingSpan(identity)}) if identity is not None else Context()


def _edges_of(aggregations: list[Any]) -> Sequence[float] | None:
    """Return the edges of the buckets that all of them have, none for sums; None where they cannot be added up."""
    if all(type(one) is _SumAggregation for one in aggregations):
        return ()
    if all(type(one) is _ExplicitBucketHistogramAggregation for one in aggregations):
        edges = {one._boundaries for one in aggregations}
        return edges.pop() if len(edges) == 1 else None
    return None


def _merge(aggregation: Any, series: _Series) -> None:
    with aggregation._lock:
        if type(aggregation) is _SumAggregation:
            aggregation._value = (aggregation._value or 0) + series.total
            return
        if aggregation._value is None:
            aggregation._value = [0] * len(series.counts)
        aggregation._value = [old + new for old, new in zip(aggregation._value, series.counts, strict=True)]
        aggregation._sum += series.total
        if aggregation._record_min_max:
            aggregation._min = min(aggregation._min, series.lowest)
            aggregation._max = max(aggregation._max, series.highest)


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

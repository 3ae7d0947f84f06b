# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The short way for metric points gives what the SDK's own way gives."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_tts.otel_private.points import Points, narrow_exemplars

DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
LABELS = ({"engine": "a", "stage": "x"}, {"engine": "a", "stage": "y"}, {"engine": "b", "stage": "x"})


def context(number: int, sampled: bool = True) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else 0)
    return trace.set_span_in_context(NonRecordingSpan(SpanContext(number + 1, number + 1, False, flags)), Context())


def feed(meter: Any, wrap: Any, rounds: int = 4) -> None:
    counter = wrap(meter.create_counter("c"))
    histogram = wrap(meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1.0, 2.0, 5.0]))
    add = getattr(counter, "add", None) or counter.record
    for number in range(rounds):
        for labels in LABELS:
            add(number, dict(labels), context(number))
            histogram.record(number * 0.7, dict(labels), context(number, sampled=number != 2))


def collected(reader: InMemoryMetricReader) -> list[Any]:
    """Everything but times."""
    data = reader.get_metrics_data()
    return [
        (
            metric.name,
            type(metric.data).__name__,
            sorted(
                (
                    sorted(dict(point.attributes).items()),
                    getattr(point, "value", None),
                    getattr(point, "sum", None),
                    getattr(point, "count", None),
                    [*getattr(point, "bucket_counts", ())],
                    [
                        (e.value, e.span_id, e.trace_id, dict(e.filtered_attributes or {}))
                        for e in point.exemplars
                        if type(metric.data).__name__ == "Histogram"  # a counter's reservoir draws lots
                    ],
                )
                for point in metric.data.data_points
            ),
        )
        for part in (data.resource_metrics if data else ())
        for scope in part.scope_metrics
        for metric in scope.metrics
    ]


SET_UPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a view that keeps one label": {"views": [View(instrument_name="*", attribute_keys={"engine"})]},
    "two views of one instrument": {
        "views": [
            View(instrument_name="h", name="h1"),
            View(instrument_name="h", name="h2", aggregation=ExponentialBucketHistogramAggregation()),
        ]
    },
    "a view that drops": {"views": [View(instrument_name="c", aggregation=DropAggregation())]},
    "no exemplars": {"exemplar_filter": AlwaysOffExemplarFilter()},
}


class AtPlaces:
    """Points, recorded as those of a request are."""

    def __init__(self, instrument: Any) -> None:
        self._points = Points(instrument)

    def record(self, value: float, labels: dict[str, Any], inside: Context) -> None:
        identity = trace.get_current_span(inside).get_span_context()
        place: Any = SimpleNamespace(identity=identity, inside=inside)
        self._points.record_at(value, tuple(labels.items()), place)


@pytest.mark.parametrize("ours", [Points, AtPlaces])
@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS.keys())
def test_same_points_as_the_sdk(set_up: dict[str, Any], ours: Any) -> None:
    results = []
    for wrap in (ours, lambda instrument: instrument):
        readers = [InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=DELTA)]
        provider = MeterProvider(metric_readers=readers, **set_up)
        meter = provider.get_meter("test")
        feed(meter, wrap)
        first = [collected(reader) for reader in readers]
        feed(meter, wrap, rounds=2)
        results.append((first, [collected(reader) for reader in readers]))
        provider.shutdown()
    assert results[0] == results[1]
    assert any(results[0][0])


def test_the_short_way_is_taken() -> None:
    reader = InMemoryMetricReader()
    histogram = MeterProvider(metric_readers=[reader]).get_meter("test").create_histogram("h")
    points = Points(histogram)
    through: list[float] = []
    points._through = lambda value, *rest: (through.append(value), histogram.record(value, *rest))
    for value in (1.0, 2.0, 3.0):
        points.record(value, {"engine": "a"}, context(0))
    assert through == [1.0]  # pins the private names: where one is gone, all three come through here
    assert collected(reader)[0][2][0][2] == 6.0


def test_collections_in_between_lose_nothing() -> None:
    reader = InMemoryMetricReader(preferred_temporality=DELTA)
    points = Points(MeterProvider(metric_readers=[reader]).get_meter("test").create_histogram("h"))
    counts: list[int] = []
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            counts.extend(point[3] for metric in collected(reader) for point in metric[2])

    collecting = threading.Thread(target=collect)
    collecting.start()
    recorded, deadline = 0, time.monotonic() + 60
    while (len(counts) < 10 or recorded < 5000) and time.monotonic() < deadline:
        points.record(recorded, {"engine": "a"}, context(recorded))
        recorded += 1
    done.set()
    collecting.join()
    counts.extend(point[3] for metric in collected(reader) for point in metric[2])
    assert sum(counts) == recorded and len(counts) >= 10


def test_what_waits_for_a_collection_keeps_no_context_alive() -> None:
    points = Points(MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("test").create_histogram("h"))
    span = NonRecordingSpan(SpanContext(1, 1, False, TraceFlags(TraceFlags.SAMPLED)))
    gone = weakref.ref(span)
    for _ in range(3):
        points.record(1.0, {"engine": "a"}, trace.set_span_in_context(span, Context()))
    del span
    gc.collect()
    # The first point went through the SDK, which keeps ids only too.
    assert gone() is None


def test_a_reader_that_comes_later_gets_the_points_after_it() -> None:
    early, late = InMemoryMetricReader(), InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[early])
    points = Points(provider.get_meter("test").create_counter("c"))
    points.record(1, {"engine": "a"}, context(0))
    points.record(1, {"engine": "a"}, context(0))
    provider.add_metric_reader(late)
    points.record(1, {"engine": "a"}, context(0))
    points.record(1, {"engine": "a"}, context(0))
    assert [collected(reader)[0][2][0][1] for reader in (early, late)] == [4, 2]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_the_sdk_refuses_is_refused(value: float) -> None:
    reader = InMemoryMetricReader()
    points = Points(MeterProvider(metric_readers=[reader]).get_meter("test").create_histogram("h"))
    points.record(1.0, {"engine": "a"}, context(0))
    points.record(value, {"engine": "a"}, context(0))
    assert collected(reader)[0][2][0][3] == 1


def test_where_a_private_name_is_gone_all_goes_through_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    points = Points(MeterProvider(metric_readers=[reader]).get_meter("test").create_histogram("h"))

    def gone(labels: dict[str, str]) -> list[Any]:
        raise AttributeError("_view")

    monkeypatch.setattr(points, "_find", gone)
    for _ in range(3):
        points.record(1.0, {"engine": "a"}, context(0))
    assert collected(reader)[0][2][0][3] == 3


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_the_sdk_refuses_is_refused_at_a_place_too(value: float) -> None:
    reader = InMemoryMetricReader()
    points = AtPlaces(MeterProvider(metric_readers=[reader]).get_meter("test").create_histogram("h"))
    points.record(1.0, {"engine": "a"}, context(0))
    points.record(value, {"engine": "a"}, context(0))
    assert collected(reader)[0][2][0][3] == 1


def test_a_reader_that_comes_later_is_seen() -> None:
    provider = MeterProvider()
    points = Points(provider.get_meter("test").create_counter("c"))
    assert not points.are_read
    provider.add_metric_reader(InMemoryMetricReader())
    assert points.are_read


def test_without_an_sdk_nothing_happens() -> None:
    meter = NoOpMeterProvider().get_meter("test")
    Points(meter.create_counter("c")).record(1, {"engine": "a"}, context(0))
    Points(meter.create_histogram("h")).record(1, {"engine": "a"}, context(0))


FORKING = """
import os
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from otel_tts.emit.emitter import Emitter
from otel_tts.recording.recorder import Recorder
from otel_tts.otel_private.providers import reset_metric_state_after_fork
from otel_tts.settings import Settings
from otel_tts.recording.synthesis import Synthesis

reader = InMemoryMetricReader()
meters = MeterProvider([reader])
settings = Settings(log_format="none", clock="host", nvml_interval=0)
tracers = TracerProvider()
recorder = Recorder(tracers, settings)
emitter = Emitter(recorder, tracers, meters, LoggerProvider(), interval=None)

def speak():
    with Synthesis(recorder, {"tts.engine.name": "e"}):
        pass
    emitter.drain()

def tell(who):
    for part in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics:
        if part.name == "tts.requests":
            print(who, *[point.value for point in part.data.data_points], flush=True)

speak(); speak()
child = os.fork()
if child == 0:
    reset_metric_state_after_fork(meters)
    speak()
    tell("child")
    os._exit(0)
os.waitpid(child, 0)
speak()
tell("parent")
os._exit(0)
"""


def test_a_forked_child_adds_to_aggregations_of_its_own() -> None:
    """The parent's would swallow its points: nobody looks at those in the child."""
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["child 1", "parent 3"], done.stderr


def test_exemplars_can_be_narrowed_also_of_instruments_that_are_there() -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    histogram = meters.get_meter("m").create_histogram("h")
    assert narrow_exemplars(meters, lambda inner: AlwaysOffExemplarFilter())
    histogram.record(1.0, context=context(0))
    Points(histogram).record(1.0, {}, context(0))
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert [(point.count, list(point.exemplars)) for point in metric.data.data_points] == [(2, [])]
    meters.shutdown()
    assert not narrow_exemplars(NoOpMeterProvider(), lambda inner: inner)

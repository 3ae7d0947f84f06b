# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The gate before real exporters: what it lets out as OTLP, and what never gets there."""

from __future__ import annotations

import base64
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from otel_tts import guard, names
from otel_tts.privacy import canary, gate
from otel_tts.privacy.cleaner import Cleaner
from otel_tts.privacy.policy import Policy
from tests.unit.support.gate_kit import Pipeline, counting, plain

SAID = "Meet me at the old harbour at nine"
REMOTE = SpanContext(0x0123456789ABCDEF0123456789ABCDEF, 0x0123456789ABCDEF, True, TraceFlags(1))


def leaks(exported: bytes, text: str = SAID) -> bool:
    """Whether a piece of `text` is in the bytes, as it is or in an encoding."""
    pieces = [text, *text.split()[-2:]] if " " in text else [text]
    for piece in (p for p in pieces if len(p) > 3):
        forms = (
            piece.encode(),
            quote(piece).encode(),
            piece.encode("utf-16-le"),
            base64.b64encode(piece.encode())[:-4],
        )
        if any(form in exported for form in forms):
            return True
    return False


# --- leaks: one row for every place where text can stand --------------------------------------------------------------


def _span(pipe: Pipeline, *, scope: str = "app", name: str = "work", **kwargs: Any) -> trace.Span:
    return pipe.tracers.get_tracer(scope).start_span(name, Context(), **kwargs)


def span_name(pipe: Pipeline) -> None:
    _span(pipe, name=SAID).end()


def own_span_name(pipe: Pipeline) -> None:
    _span(pipe, scope=names.SCOPE, name=f"text_to_speech {SAID}").end()


def server_span_name(pipe: Pipeline) -> None:
    _span(pipe, name=f"GET /say/{SAID}", kind=SpanKind.SERVER, attributes={"http.route": "/say/{text}"}).end()


def span_attribute_value(pipe: Pipeline) -> None:
    _span(pipe, attributes={"tts.voice": SAID, "gen_ai.request.model": SAID, "http.route": f"/{SAID}"}).end()


def span_attribute_key(pipe: Pipeline) -> None:
    _span(pipe, attributes={SAID: 1}).end()


def span_attribute_list(pipe: Pipeline) -> None:
    _span(pipe, attributes={"tts.audio.anomaly": [SAID], "texts": [SAID]}).end()


def span_attribute_mapping(pipe: Pipeline) -> None:
    _span(pipe, attributes={"tts.voice": {"name": SAID}, "app": {SAID: SAID}}).end()  # type: ignore[dict-item]


def span_attribute_bytes(pipe: Pipeline) -> None:
    _span(pipe, attributes={"tts.voice": SAID.encode()}).end()  # type: ignore[dict-item]


def url_query(pipe: Pipeline) -> None:
    _span(pipe, kind=SpanKind.SERVER, attributes={"url.query": f"text={quote(SAID)}", "http.url": f"/?t={SAID}"}).end()


def header(pipe: Pipeline) -> None:
    _span(pipe, kind=SpanKind.SERVER, attributes={"http.request.header.x_text": [SAID]}).end()


def event_name(pipe: Pipeline) -> None:
    span = _span(pipe)
    span.add_event(SAID)
    span.end()


def event_attribute(pipe: Pipeline) -> None:
    span = _span(pipe)
    span.add_event("said", {"text": SAID, "tts.voice": SAID})
    span.end()


def exception_event(pipe: Pipeline) -> None:
    span = _span(pipe)
    try:
        raise ValueError(f"cannot say {SAID}")
    except ValueError as error:
        span.record_exception(error, {"text": SAID})
    span.end()


def status_description(pipe: Pipeline) -> None:
    span = _span(pipe)
    span.set_status(StatusCode.ERROR, SAID)
    span.end()


def link_attribute(pipe: Pipeline) -> None:
    _span(pipe, links=[Link(REMOTE, {"text": SAID})]).end()


def trace_state_of_link(pipe: Pipeline) -> None:
    context = SpanContext(REMOTE.trace_id, REMOTE.span_id, True, TraceFlags(1), TraceState([("said", SAID)]))
    _span(pipe, links=[Link(context)]).end()


def trace_state(pipe: Pipeline) -> None:
    context = SpanContext(REMOTE.trace_id, REMOTE.span_id, True, TraceFlags(1), TraceState([("said", SAID)]))
    parent = trace.set_span_in_context(trace.NonRecordingSpan(context), Context())
    pipe.tracers.get_tracer("app").start_span("work", parent).end()


def tracer_scope(pipe: Pipeline) -> None:
    pipe.tracers.get_tracer(SAID, SAID, SAID, {"text": SAID}).start_span("work", Context()).end()


def own_tracer_with_attributes(pipe: Pipeline) -> None:
    pipe.tracers.get_tracer(names.SCOPE, "1", SAID, {SAID: SAID}).start_span("tts.vocoder", Context()).end()


def _log(pipe: Pipeline, scope: str = "app", **record: Any) -> None:
    record = {
        "severity_number": SeverityNumber.INFO,
        "severity_text": "INFO",
        "body": "x",
        "context": Context(),
        **record,
    }
    pipe.loggers.get_logger(scope).emit(LogRecord(**record))


def log_body(pipe: Pipeline) -> None:
    _log(pipe, body=SAID)


def log_body_mapping(pipe: Pipeline) -> None:
    _log(pipe, body={"text": [SAID]})


def own_log_body(pipe: Pipeline) -> None:
    _log(pipe, names.SCOPE, body=f"{names.REQ_START} request_id=1 text={SAID}")


def own_stage_line(pipe: Pipeline) -> None:
    _log(pipe, names.SCOPE, body=f"{names.STAGE_TIME} request_id=1 {SAID}=1")


def log_extra(pipe: Pipeline) -> None:
    _log(pipe, attributes={"text": SAID, SAID: 1, "request_id": SAID})


def log_severity(pipe: Pipeline) -> None:
    _log(pipe, severity_text=SAID)


def log_event_name(pipe: Pipeline) -> None:
    _log(pipe, event_name=SAID)


def log_exception(pipe: Pipeline) -> None:
    _log(pipe, names.SCOPE, body=None, exception=ValueError(SAID))


def log_path(pipe: Pipeline) -> None:
    _log(pipe, attributes={"code.file.path": f"/srv/{SAID}/app.py", "code.function.name": SAID})


def logger_name(pipe: Pipeline) -> None:
    _log(pipe, SAID)


def python_logging(pipe: Pipeline) -> None:
    handler = LoggingHandler(logger_provider=pipe.loggers, log_code_attributes=True)
    logger = logging.Logger("app.speech")
    logger.addHandler(handler)
    try:
        raise ValueError(SAID)
    except ValueError:
        logger.exception("failed on %s", SAID, extra={"text": SAID})


def metric_label(pipe: Pipeline) -> None:
    pipe.meters.get_meter("app").create_counter("said").add(1, {"text": SAID, "tts.voice": SAID, SAID: SAID})


def own_metric_label(pipe: Pipeline) -> None:
    pipe.meters.get_meter(names.SCOPE).create_counter(names.REQUESTS.name).add(1, {"tts.voice": SAID, "reason": SAID})


def generic_label_of_a_known_scope(pipe: Pipeline) -> None:
    meter = pipe.meters.get_meter("opentelemetry.instrumentation.system_metrics")
    meter.create_histogram("process.cpu.time").record(1, {"type": SAID, "state": SAID})


def metric_description(pipe: Pipeline) -> None:
    pipe.meters.get_meter("app").create_counter("said", "words of it", SAID).add(1)


def metric_unit(pipe: Pipeline) -> None:
    pipe.meters.get_meter("app").create_counter("said", SAID).add(1)


def meter_scope(pipe: Pipeline) -> None:
    pipe.meters.get_meter(SAID, SAID, SAID, {"text": SAID}).create_counter("said").add(1)


def exemplar(pipe: Pipeline) -> None:
    span = _span(pipe)
    context = trace.set_span_in_context(span, Context())
    pipe.meters.get_meter("app").create_counter("viewed").add(1, {"text": SAID, "tts.engine.name": "piper"}, context)
    span.end()


PLACES: list[Callable[[Pipeline], None]] = [
    span_name, own_span_name, server_span_name, span_attribute_value, span_attribute_key, span_attribute_list,
    span_attribute_mapping, span_attribute_bytes, url_query, header, event_name, event_attribute, exception_event,
    status_description, link_attribute, trace_state_of_link, trace_state, tracer_scope, own_tracer_with_attributes,
    log_body, log_body_mapping, own_log_body, own_stage_line, log_extra, log_severity, log_event_name, log_exception,
    log_path, logger_name, python_logging, metric_label, own_metric_label, generic_label_of_a_known_scope,
    metric_description, metric_unit, meter_scope, exemplar,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_sentence_does_not_leave_from(place: Callable[[Pipeline], None]) -> None:
    pipe = Pipeline(views=[View(instrument_name="viewed", attribute_keys={"tts.engine.name"})])
    place(pipe)
    exported = pipe.everything()
    assert exported.strip(), "the item itself leaves, without the sentence"
    assert not leaks(exported)
    assert pipe.policy.redacted, "what went is counted"
    assert not guard.faults
    assert leaks(_ungated(place)), "without the gate it does leave: the test would notice"


def _ungated(place: Callable[[Pipeline], None]) -> bytes:
    pipe = Pipeline(views=[View(instrument_name="viewed", attribute_keys={"tts.engine.name"})])
    for processor in (pipe.tracers._active_span_processor._span_processors[0],):
        processor.span_exporter = processor.span_exporter.exporter  # type: ignore[attr-defined]
    for processor in (pipe.loggers._multi_log_record_processor._log_record_processors[0],):
        processor._exporter = processor._exporter.exporter  # type: ignore[attr-defined]
    del pipe.reader._receive_metrics
    place(pipe)
    return pipe.everything()


def test_the_resource_goes_through_the_gate_for_every_signal() -> None:
    pipe = Pipeline(resource=Resource({"service.name": "speech", "process.command_args": ["say", SAID], SAID: 1}, SAID))
    _span(pipe).end()
    _log(pipe)
    pipe.meters.get_meter("app").create_counter("said").add(1)
    exported = pipe.everything()
    assert not leaks(exported)
    assert exported.count(b"speech") == 3
    assert pipe.policy.redacted["resource"] == 2, "judged once, not for every item"


# --- clean telemetry --------------------------------------------------------------------------------------------------


def _clean_span(pipe: Pipeline) -> trace.Span:
    tracer = pipe.tracers.get_tracer(names.SCOPE, "0.1.0")
    span = tracer.start_span(
        "text_to_speech IndexTTS-2",
        Context(),
        attributes={"request_id": "7f3c", "tts.engine.name": "indextts", "tts.text.length": 42, "tts.outcome": "ok"},
        links=[Link(REMOTE, {"tts.engine.name": "indextts"})],
    )
    span.add_event("gpu.memory", {"gpu.memory.allocated": 1, "gpu.memory.attribution": "exclusive"})
    span.set_status(StatusCode.ERROR)
    return span


def test_a_clean_span_is_exported_as_the_same_object() -> None:
    seen: list[ReadableSpan] = []

    class Watch(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(span)

    pipe = Pipeline()
    pipe.tracers.add_span_processor(Watch())
    _clean_span(pipe).end()
    # Each end() makes one ReadableSpan that all processors share.
    (exported,) = pipe.span_memory.get_finished_spans()
    assert exported is seen[0]
    assert not pipe.policy.redacted


def test_clean_log_records_and_metrics_are_the_same_objects() -> None:
    pipe = Pipeline()
    cleaner = Cleaner(pipe.policy)
    _log(pipe, names.SCOPE, body=f"{names.REQ_START} request_id=1 engine=piper", event_name=names.REQ_START)
    (record,) = pipe.log_memory.get_finished_logs()
    assert cleaner.log(record) is record
    meter = pipe.meters.get_meter(names.SCOPE)
    meter.create_counter(names.REQUESTS.name, names.REQUESTS.unit, names.REQUESTS.meaning).add(1, {"tts.outcome": "ok"})
    data = pipe.reader.get_metrics_data()
    assert data is not None
    assert cleaner.resource_metrics(data.resource_metrics[0]) is data.resource_metrics[0]
    assert not pipe.policy.redacted


def test_each_span_leaves_with_its_own_scope_and_resource() -> None:
    """What is judged once for many is remembered with what it was judged for."""
    cleaner = Cleaner(Policy())
    resources = [Resource({"service.name": "one"}), Resource({"service.name": "two", "said": SAID}), Resource({})]
    scopes = [InstrumentationScope(names.SCOPE, "1"), InstrumentationScope(SAID), None, InstrumentationScope("app")]
    pairs = [(scope, resource) for scope in scopes for resource in resources] * 3
    random.Random(1).shuffle(pairs)
    for number, (scope, resource) in enumerate(pairs):
        given = ReadableSpan(
            "tts.vocoder", SpanContext(1, 2, False), resource=resource, instrumentation_scope=scope,
            attributes={names.STAGE: "vocoder", names.TEXT_LENGTH: number},
        )  # fmt: skip
        clean = cleaner.span(given)
        assert (clean is given) == (scope is not scopes[1] and resource is not resources[1])
        assert clean.attributes == given.attributes
        assert clean.resource.attributes == {k: v for k, v in resource.attributes.items() if k != "said"}
        name = clean.instrumentation_scope.name if clean.instrumentation_scope is not None else None
        assert name == ("redacted" if scope is scopes[1] else scope and scope.name)


def test_what_remains_of_a_span_is_whole() -> None:
    pipe = Pipeline()
    parent = trace.set_span_in_context(trace.NonRecordingSpan(REMOTE), Context())
    tracer = pipe.tracers.get_tracer("app", "1.0")
    span = tracer.start_span(
        "POST /say/{text}", parent, SpanKind.SERVER, {"http.route": "/say/{text}", "url.query": SAID}
    )
    span.set_attribute("http.response.status_code", 500)
    span.record_exception(ValueError(SAID))
    span.set_status(StatusCode.ERROR, SAID)
    span.end()
    (sent,) = pipe.spans()
    assert (sent.name, sent.kind) == ("POST /say/{text}", 2)
    assert plain(sent.attributes) == {"http.route": "/say/{text}", "http.response.status_code": 500}
    assert sent.dropped_attributes_count == 1
    assert plain(sent.events[0].attributes) == {"exception.type": "ValueError", "exception.escaped": "False"}
    assert sent.events[0].dropped_attributes_count == 2
    assert (sent.status.code, sent.status.message) == (2, "")
    assert sent.trace_id == REMOTE.trace_id.to_bytes(16, "big")
    assert sent.parent_span_id == REMOTE.span_id.to_bytes(8, "big")
    assert sent.start_time_unix_nano <= sent.events[0].time_unix_nano <= sent.end_time_unix_nano


def test_what_remains_of_an_application_line() -> None:
    pipe = Pipeline()
    python_logging(pipe)
    (sent,) = pipe.logs()
    assert sent.body.string_value.startswith("ERROR app.speech test_gate.py:")
    assert (sent.severity_number, sent.severity_text) == (17, "ERROR")
    kept = plain(sent.attributes)
    assert kept.pop("code.line.number") > 0
    assert kept == {
        "code.file.path": "test_gate.py",
        "code.function.name": "python_logging",
        "exception.type": "ValueError",
    }
    assert sent.dropped_attributes_count == 3


def test_application_lines_as_the_operator_asked() -> None:
    whole = Pipeline(Policy(app_logs="body"))
    log_body(whole)
    python_logging(whole)
    assert [record.body.string_value for record in whole.logs()] == [SAID, f"failed on {SAID}"]
    assert "ValueError" in plain(whole.logs()[1].attributes)["exception.stacktrace"]
    assert "text" not in plain(whole.logs()[1].attributes)
    none = Pipeline(Policy(app_logs="none"))
    log_body(none)
    _log(none, names.SCOPE, body=f"{names.REQ_START} request_id=1")
    assert [record.body.string_value for record in none.logs()] == [f"{names.REQ_START} request_id=1"]


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_points_that_become_equal_are_added() -> None:
    pipe = Pipeline()
    meter = pipe.meters.get_meter("app")
    counter, levels = meter.create_counter("said"), meter.create_up_down_counter("open")
    histogram = meter.create_histogram("time", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    for i in range(4):
        labels = {"tts.engine.name": "piper" if i % 2 else "kokoro", "text": f"{SAID} {i}"}
        counter.add(10**i, labels)
        levels.add(-i, labels)
        histogram.record(float(i), labels)
    sent = pipe.metrics()
    assert {plain(p.attributes)["tts.engine.name"]: p.as_int for p in sent["said"].sum.data_points} == {
        "kokoro": 101,
        "piper": 1010,
    }
    assert sorted(p.as_int for p in sent["open"].sum.data_points) == [-4, -2]
    assert sent["said"].sum.is_monotonic and not sent["open"].sum.is_monotonic
    kokoro, piper = sorted(sent["time"].histogram.data_points, key=lambda p: p.sum)
    assert (kokoro.count, kokoro.sum, kokoro.min, kokoro.max, list(kokoro.bucket_counts)) == (
        2,
        2.0,
        0.0,
        2.0,
        [1, 1, 0],
    )
    assert (piper.count, piper.sum, piper.min, piper.max, list(piper.bucket_counts)) == (2, 4.0, 1.0, 3.0, [1, 0, 1])


def test_of_gauges_that_become_equal_the_latest_stays() -> None:
    pipe = Pipeline()
    observed = [Observation(i, {"text": f"{SAID} {i}"}) for i in (3, 1, 2)]
    pipe.meters.get_meter("app").create_observable_gauge("level", [lambda _: observed])
    (point,) = pipe.metrics()["level"].gauge.data_points
    assert point.as_int in (1, 2, 3)
    assert not point.attributes


def test_exponential_histograms_are_added_at_their_common_scale() -> None:
    view = View(instrument_name="time", aggregation=ExponentialBucketHistogramAggregation())
    pipe, whole = Pipeline(views=[view]), Pipeline(views=[view])
    values = [(0.0, "a"), (1e-3, "a"), (1.5, "a"), (1.6, "b"), (1e6, "b"), (3.0, "b"), (-2.0, "b"), (-1e3, "a")]
    split, joined = (p.meters.get_meter("app").create_histogram("time") for p in (pipe, whole))
    for value, text in values:
        split.record(value, {"text": text})
        joined.record(value)
    (merged,) = pipe.metrics()["time"].exponential_histogram.data_points
    (direct,) = whole.metrics()["time"].exponential_histogram.data_points
    assert (merged.count, merged.zero_count) == (direct.count, direct.zero_count)
    assert merged.sum == pytest.approx(direct.sum)
    assert (merged.min, merged.max) == (direct.min, direct.max)
    assert merged.scale == direct.scale
    assert _by_index(merged.positive) == _by_index(direct.positive)
    assert _by_index(merged.negative) == _by_index(direct.negative)


def _by_index(buckets: Any) -> dict[int, int]:
    return {buckets.offset + i: count for i, count in enumerate(buckets.bucket_counts) if count}


def test_exemplars_keep_their_trace_and_lose_their_attributes() -> None:
    pipe = Pipeline(views=[View(instrument_name="viewed", attribute_keys={"tts.engine.name"})])
    exemplar(pipe)
    (point,) = pipe.metrics()["viewed"].sum.data_points
    (kept,) = point.exemplars
    assert kept.trace_id == pipe.spans()[0].trace_id
    assert not kept.filtered_attributes
    assert pipe.policy.redacted["exemplar"] == 1


def test_merged_points_keep_their_time_and_exemplars() -> None:
    pipe = Pipeline()
    span = _span(pipe)
    context = trace.set_span_in_context(span, Context())
    counter = pipe.meters.get_meter("app").create_counter("said")
    counter.add(1, {"text": "a"}, context)
    counter.add(1, {"text": "b"}, context)
    span.end()
    data = pipe.reader.get_metrics_data()
    assert data is not None
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert 0 < point.start_time_unix_nano <= point.time_unix_nano
    assert len(point.exemplars) == 2


class _Memory(MetricExporter):
    """A push exporter that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__({}, {})
        self.data: list[Any] = []

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


def test_periodic_and_pulled_readers_and_readers_that_came_later_are_gated() -> None:
    memory = _Memory()
    meters = MeterProvider([PeriodicExportingMetricReader(memory, float("inf"))], shutdown_on_exit=False)
    later = InMemoryMetricReader()
    meters.add_metric_reader(later)
    policy = counting(Policy())
    assert gate.install(None, meters, None, policy) == ["_Memory", "InMemoryMetricReader"]
    meters.get_meter("app").create_counter("said").add(1, {"text": SAID})
    meters.force_flush()
    assert len(memory.data) == 1 and SAID not in memory.data[0].to_json()
    data = later.get_metrics_data()
    assert data is not None and SAID not in data.to_json()
    meters.shutdown()


def test_the_prometheus_page_is_gated() -> None:
    prometheus = pytest.importorskip("opentelemetry.exporter.prometheus")
    client = pytest.importorskip("prometheus_client")
    registry = client.CollectorRegistry()
    reader = prometheus.PrometheusMetricReader(registry=registry)
    resource = Resource({"service.name": "speech", "owner": SAID})
    meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    gate.install(None, meters, None, counting(Policy()))
    counter = meters.get_meter(names.SCOPE).create_counter(names.REQUESTS.name)
    for text in ("a", "b"):
        counter.add(1, {"tts.outcome": "ok", "text": f"{SAID} {text}"})
    page = client.generate_latest(registry).decode()
    assert "harbour" not in page
    assert 'tts_outcome="ok"} 2.0' in page.replace('otel_scope_schema_url="",', "").replace(",}", "}")
    meters.shutdown()


# --- failing closed ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.CRITICAL + 1, "otel_tts"):
        yield caplog


@pytest.mark.usefixtures("quiet")
def test_what_cannot_be_judged_does_not_leave() -> None:
    pipe = Pipeline()

    def fail(*_: Any) -> Any:
        raise RuntimeError(SAID)

    for method in ("attributes", "span_name", "log", "labels", "metric"):
        pipe.policy.__dict__[method] = fail
    _span(pipe).end()
    _log(pipe)
    pipe.meters.get_meter("app").create_counter("said").add(1)
    assert not pipe.everything().strip()
    assert pipe.policy.dropped == {"gate_fault": 3}
    assert guard.faults["privacy_gate"] == 3


@pytest.mark.usefixtures("quiet")
def test_one_item_that_cannot_be_judged_does_not_keep_the_others() -> None:
    memory, policy = InMemorySpanExporter(), counting(Policy())
    gated = gate.GatedSpanExporter(memory, Cleaner(policy))
    pipe = Pipeline()
    _clean_span(pipe).end()
    (clean,) = pipe.span_memory.get_finished_spans()
    gated.export([clean, object(), clean])  # type: ignore[list-item]
    assert memory.get_finished_spans() == (clean, clean)
    assert policy.dropped == {"gate_fault": 1}


def test_after_a_refusal_nothing_leaves() -> None:
    pipe = Pipeline()
    pipe.policy.refusal = "canary"
    _clean_span(pipe).end()
    _log(pipe, names.SCOPE, body=f"{names.REQ_START} request_id=1")
    pipe.meters.get_meter(names.SCOPE).create_counter(names.REQUESTS.name).add(1)
    assert not pipe.everything().strip()
    assert pipe.policy.dropped["canary"] == 3


def test_histograms_of_different_bounds_are_not_added(quiet: pytest.LogCaptureFixture) -> None:
    from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, Metric, ScopeMetrics
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    points = [
        HistogramDataPoint({"text": text}, 1, 2, 1, 1.0, [1, 0], [bound], 1.0, 1.0)
        for text, bound in (("a", 1.0), ("b", 2.0))
    ]
    metric = Metric("time", "", "s", Histogram(points, AggregationTemporality.CUMULATIVE))
    cleaner = Cleaner(counting(Policy()))
    assert cleaner._scope_metrics(ScopeMetrics(InstrumentationScope("app"), [metric], "")) is None
    assert cleaner.policy.dropped == {"gate_fault": 1}


# --- installation -----------------------------------------------------------------------------------------------------


def test_every_kind_of_processor_is_gated() -> None:
    memories = [InMemorySpanExporter() for _ in range(3)]
    nested = ConcurrentMultiSpanProcessor()
    nested.add_span_processor(SimpleSpanProcessor(memories[2]))
    tracers = TracerProvider(shutdown_on_exit=False)
    for processor in (BatchSpanProcessor(memories[0]), SimpleSpanProcessor(memories[1]), nested, SpanProcessor()):
        tracers.add_span_processor(processor)
    log_memory = InMemoryLogRecordExporter()
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_memory))
    assert len(gate.ungated(tracers, None, loggers)) == 4
    policy = counting(Policy())
    assert gate.install(tracers, None, loggers, policy) == ["InMemorySpanExporter"] * 3 + ["InMemoryLogRecordExporter"]
    assert gate.ungated(tracers, None, loggers) == []
    tracers.get_tracer("app").start_span("work", Context(), attributes={"text": SAID}).end()
    loggers.get_logger("app").emit(LogRecord(body=SAID, context=Context()))
    tracers.force_flush()
    loggers.force_flush()
    for memory in memories:
        (span,) = memory.get_finished_spans()
        assert not span.attributes
    (record,) = log_memory.get_finished_logs()
    assert SAID not in record.to_json()
    tracers.shutdown()
    loggers.shutdown()


def test_what_of_the_resource_does_not_leave_is_known_at_once() -> None:
    pipe = Pipeline(resource=Resource({"service.name": "speech", "team": "voices", SAID: 1}))
    assert canary.check(pipe.policy) is None
    assert pipe.policy.dropped_resource_keys() == ("team", "redacted")


def test_a_second_installation_changes_the_policy_and_adds_no_second_gate() -> None:
    pipe = Pipeline()
    wider = counting(Policy(allow=["text"]))
    assert gate.install(pipe.tracers, pipe.meters, pipe.loggers, wider) == pipe.names
    _span(pipe, attributes={"text": "hello there"}).end()
    assert plain(pipe.spans()[0].attributes) == {"text": "hello there"}
    exporter = pipe.tracers._active_span_processor._span_processors[0].span_exporter  # type: ignore[attr-defined]
    assert exporter.exporter is pipe.span_memory


def test_providers_of_others_are_left_alone() -> None:
    assert gate.install(trace.NoOpTracerProvider(), None, object(), counting(Policy())) == []


def test_the_exporter_hears_how_long_its_shutdown_may_take() -> None:
    given: list[float] = []

    class Slow(InMemorySpanExporter):
        def shutdown(self, timeout_millis: float = 30_000) -> None:
            given.append(timeout_millis)

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Slow()))
    gate.install(tracers, None, None, counting(Policy()))
    tracers.shutdown()
    assert len(given) == 1 and given[0] <= 30_000


@pytest.mark.usefixtures("quiet")
def test_a_gate_that_cannot_be_put_in_closes_the_way() -> None:
    class Odd:
        """An exporter that is none of the SDK's: no force_flush."""

        def __init__(self) -> None:
            self.closed = False

        def export(self, spans: Any) -> None:
            raise AssertionError("nothing may get here")

        def shutdown(self) -> None:
            self.closed = True

    odd = Odd()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(odd))  # type: ignore[arg-type]
    assert gate.install(tracers, None, None, counting(Policy())) == []
    assert odd.closed
    assert guard.faults["privacy_gate"] == 1

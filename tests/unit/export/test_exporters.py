# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The exporters behind the SDK's own processors and readers, sending to a real receiver."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanContext

from otel_tts.export import waiting
from otel_tts.export.exporters import OtlpLogs, OtlpMetrics, OtlpSpans
from tests.unit.support.receiver import Receiver, answer, hang

Make = Callable[..., OtlpSpans]


@pytest.fixture
def make(receiver: Receiver) -> Iterator[Make]:
    """Makes exporters of spans; ends them afterwards."""
    made: list[OtlpSpans] = []

    def exporter(**more: str) -> OtlpSpans:
        made.append(OtlpSpans(environ(receiver, **more)))
        made[-1].on_loss = lambda lost, why: losses.append((lost, why))
        return made[-1]

    losses.clear()
    yield exporter
    for one in made:
        one.shutdown(0)


losses: list[tuple[int, str]] = []


def environ(receiver: Receiver, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_TTS_SHUTDOWN_TIMEOUT": "30", **more}


def spans(*names: str) -> list[ReadableSpan]:
    return [ReadableSpan(name, SpanContext(1, 2, False), resource=Resource({"service.name": "s"})) for name in names]


def names(body: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(body)
    return [s.name for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_three_signals_of_the_sdk(receiver: Receiver) -> None:
    env = environ(receiver, OTEL_EXPORTER_OTLP_COMPRESSION="none")
    tracers, loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OtlpSpans(env)))
    loggers.add_log_record_processor(BatchLogRecordProcessor(OtlpLogs(env)))
    meters = MeterProvider([PeriodicExportingMetricReader(OtlpMetrics(env))], shutdown_on_exit=False)
    with tracers.get_tracer("t").start_as_current_span("outer"), tracers.get_tracer("t").start_as_current_span("inner"):
        loggers.get_logger("l").emit(body="line")
    meters.get_meter("m").create_counter("c").add(3)
    for provider in (tracers, loggers, meters):
        provider.shutdown()

    sent = {request.head.split()[1]: request.body for request in receiver.requests}
    assert names(sent["/v1/traces"]) == ["inner", "outer"]
    (logs,) = ExportLogsServiceRequest.FromString(sent["/v1/logs"]).resource_logs
    (record,) = logs.scope_logs[0].log_records
    assert record.body.string_value == "line" and len(record.trace_id) == 16
    (metrics,) = ExportMetricsServiceRequest.FromString(sent["/v1/metrics"]).resource_metrics
    assert metrics.scope_metrics[0].metrics[0].sum.data_points[0].as_int == 3


def test_a_simple_processor_exports_on_its_callers_threads(receiver: Receiver) -> None:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(OtlpSpans(environ(receiver))))

    def work() -> None:
        for _ in range(20):
            tracers.get_tracer("t").start_span("s").end()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tracers.shutdown()
    assert sum(len(names(body)) for body in receiver.bodies()) == 80
    assert len({request.port for request in receiver.requests}) == 1


def test_preferences_of_metrics(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    temporality, histogram = (
        f"OTEL_EXPORTER_OTLP_METRICS_{name}" for name in ("TEMPORALITY_PREFERENCE", "DEFAULT_HISTOGRAM_AGGREGATION")
    )
    delta, cumulative = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
    for asked, counters in (("Delta", delta), ("lowmemory", delta), ("cumulative", cumulative), ("x", cumulative)):
        exporter = OtlpMetrics({temporality: asked, histogram: "base2_exponential_bucket_histogram"})
        assert exporter._preferred_temporality[Counter] == exporter._preferred_temporality[Histogram] == counters
        assert exporter._preferred_temporality[UpDownCounter] == cumulative
        assert isinstance(exporter._preferred_aggregation[Histogram], ExponentialBucketHistogramAggregation)
    OtlpMetrics({histogram: "linear"})
    assert f"{temporality} is none of" in caplog.text and f"{histogram} is none of" in caplog.text


def test_a_batch_that_is_refused_is_a_failure_and_said(
    receiver: Receiver, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers += [answer(413)]
    assert make().export(spans("a")) is SpanExportResult.FAILURE
    assert losses == []  # who called counts it
    (said,) = caplog.records
    assert said.name == "otel_tts.export" and receiver.endpoint in said.getMessage()
    assert "code: 413, reason: Words; lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE" in said.getMessage()


def test_a_partial_success_is_counted_and_said_once(
    receiver: Receiver, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 1
    response.partial_success.error_message = "no such tenant"
    receiver.always = answer(200, response.SerializeToString())
    exporter = make()
    for _ in range(2):
        assert exporter.export(spans("a", "b")) is SpanExportResult.SUCCESS
    assert losses == [(1, "export_rejected")] * 2
    assert [r.getMessage() for r in caplog.records] == [
        f"otel-tts: {receiver.endpoint}/v1/traces took a batch but for 1 spans: no such tenant"
    ]


def test_what_cannot_be_encoded_is_counted_and_the_rest_is_sent(receiver: Receiver, make: Make) -> None:
    beyond = ReadableSpan("b", SpanContext(1, 2, False), resource=Resource({}), end_time=2**64)
    exporter = make()
    assert exporter.export([*spans("a"), beyond]) is SpanExportResult.SUCCESS
    assert names(*receiver.bodies()) == ["a"] and losses == [(1, "unencodable")]
    assert exporter.export([beyond]) is SpanExportResult.FAILURE
    assert len(receiver.requests) == 1


# --- Retry-After -----------------------------------------------------------------------------------------------------


def test_a_batch_waits_for_longer_than_the_timeout_and_later_ones_behind_it(receiver: Receiver, make: Make) -> None:
    receiver.answers += [answer(429, retry_after=2)]
    exporter = make(OTEL_EXPORTER_OTLP_TIMEOUT="1")
    for name in ("first", "second", "third"):
        assert exporter.export(spans(name)) is SpanExportResult.SUCCESS
    assert exporter.waiting == 3
    until(lambda: not exporter.waiting)
    assert [names(body) for body in receiver.bodies()] == [["first"], ["first"], ["second"], ["third"]]
    assert receiver.requests[1].at - receiver.requests[0].at >= 2
    assert losses == []


def test_a_receiver_that_says_later_for_an_hour_costs_no_more_than_the_bound(
    receiver: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_SOONEST_S", 0.01)
    receiver.always = answer(429, retry_after=3600)
    exporter = make(OTEL_TTS_EXPORT_BYTES="2000")
    for number in range(100):
        assert exporter.export(spans(f"{number}{'x' * 100}")) is SpanExportResult.SUCCESS
    assert len(receiver.requests) == 1
    dropped = sum(lost for lost, why in losses if why == "waiting_full")
    assert dropped + exporter.waiting == 100 and 5 < exporter.waiting < 20

    began = time.monotonic()
    exporter.shutdown()  # nothing of it is due before the process ends, so nobody waits
    assert time.monotonic() - began < 20
    assert sum(lost for lost, _ in losses) == 100 and losses[-1][1] == "export_failed"
    assert exporter.export(spans("late")) is SpanExportResult.FAILURE


def test_shutdown_waits_for_what_is_due_within_the_budget(receiver: Receiver, make: Make) -> None:
    receiver.answers += [answer(503, retry_after=1)]
    exporter = make(OTEL_EXPORTER_OTLP_TIMEOUT="0.5")
    exporter.export(spans("a"))
    exporter.shutdown()
    assert len(receiver.requests) == 2 and losses == []


def test_nothing_waits_where_no_bytes_are_given(receiver: Receiver, make: Make) -> None:
    receiver.answers += [answer(429, retry_after=3600)]
    exporter = make(OTEL_TTS_EXPORT_BYTES="0")
    assert exporter.export(spans("a")) is SpanExportResult.FAILURE and not exporter.waiting


def test_losses_are_said_where_nobody_counts(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.always = answer(429, retry_after=3600)
    exporter = OtlpLogs(environ(receiver))
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
    with caplog.at_level(logging.WARNING):
        loggers.get_logger("l").emit(body="line")
        loggers.shutdown()
    assert f"1 log records for {receiver.endpoint}/v1/logs are lost" in caplog.text
    assert exporter.export([]) is LogRecordExportResult.FAILURE  # it has ended


# --- forks -----------------------------------------------------------------------------------------------------------


def in_child(exporter: OtlpSpans, name: str) -> tuple[str, int]:
    """Export from a forked child; return the result and what waits there before."""
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()

    def work() -> None:
        waits = exporter.waiting
        queue.put((exporter.export(spans(name)).name, waits))
        exporter.shutdown()

    child = context.Process(target=work)
    child.start()
    found = queue.get(timeout=30)
    child.join(30)
    assert child.exitcode == 0
    return found


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own(receiver: Receiver, make: Make) -> None:
    exporter = make()
    exporter.export(spans("before"))
    assert in_child(exporter, "child") == ("SUCCESS", 0)
    exporter.export(spans("after"))
    before, child, after = receiver.requests
    assert before.port == after.port != child.port


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_fork_while_sending_or_waiting_leaves_that_to_the_parent(receiver: Receiver, make: Make) -> None:
    exporter = make(OTEL_EXPORTER_OTLP_TIMEOUT="3")
    receiver.answers += [hang]
    thread = threading.Thread(target=exporter.export, args=(spans("parent"),))
    thread.start()
    until(lambda: len(receiver.requests) == 1)
    assert in_child(exporter, "child") == ("SUCCESS", 0)
    thread.join()

    receiver.answers += [answer(429, retry_after=3600)]
    exporter.export(spans("waits"))
    assert in_child(exporter, "other child") == ("SUCCESS", 0)
    assert exporter.waiting == 1 and losses == []
    assert [names(body) for body in receiver.bodies()][-2:] == [["waits"], ["other child"]]

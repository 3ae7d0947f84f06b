# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Files written by the official exporters are read back as what went in."""

from __future__ import annotations

import gzip
import json
import logging
import math
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.json.file import FileMetricExporter, FileSpanExporter
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_tts.readers.otlp_files import TRACES, BadLine, find, read_logs, read_points, read_spans

RESOURCE = Resource({"service.name": "reader-test"})


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A file with a server span and, in it, a stage that failed."""
    path = tmp_path / "traces.jsonl"
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(path)))
    tracer = provider.get_tracer("reader.scope")
    with tracer.start_as_current_span("POST /speech", kind=trace.SpanKind.SERVER) as root:
        root.set_attribute("request_id", "abc")
        stage = tracer.start_span(
            "tts.vocoder",
            start_time=1_700_000_000_000_000_001,
            attributes={"text": "é", "whole": 2**53 + 1, "real": 0.25, "yes": True, "list": ["a", "b"]},
        )
        stage.add_event("gpu.memory", {"gpu.memory.peak": 7}, timestamp=1_700_000_000_000_000_005)
        stage.set_status(trace.StatusCode.ERROR, "why")
        stage.end(1_700_000_001_500_000_001)
    provider.shutdown()
    return path


def test_spans_come_back_as_they_went_in(traces: Path) -> None:
    stage, root = read_spans(traces)

    assert (root.name, root.kind, root.parent_id, root.status) == ("POST /speech", "server", "", "unset")
    assert root.attributes == {"request_id": "abc"}
    assert (stage.trace_id, stage.parent_id, stage.kind) == (root.trace_id, root.span_id, "internal")
    assert len(root.trace_id) == 32 and len(root.span_id) == 16
    assert (stage.start, stage.end, stage.seconds) == (1_700_000_000_000_000_001, 1_700_000_001_500_000_001, 1.5)
    assert stage.attributes == {"text": "é", "whole": 2**53 + 1, "real": 0.25, "yes": True, "list": ["a", "b"]}
    assert (stage.status, stage.status_message) == ("error", "why")
    (event,) = stage.events
    assert (event.name, event.time, event.attributes) == (
        "gpu.memory", 1_700_000_000_000_000_005, {"gpu.memory.peak": 7},
    )  # fmt: skip
    assert (stage.scope, stage.resource["service.name"]) == ("reader.scope", "reader-test")


def test_log_lines_come_back_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "logs.jsonl"
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(FileLogExporter(path)))
    span = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    provider.get_logger("reader.scope").emit(
        LogRecord(
            timestamp=17,
            context=trace.set_span_in_context(trace.NonRecordingSpan(span)),
            severity_text="WARN",
            severity_number=SeverityNumber.WARN,
            body="REQ_FAIL request_id=abc",
            event_name="REQ_FAIL",
            attributes={"request_id": "abc", "nested": {"n": 1}},
        )
    )
    provider.shutdown()

    (line,) = read_logs(path)

    assert (line.time, line.severity, line.body, line.event_name) == (17, "WARN", "REQ_FAIL request_id=abc", "REQ_FAIL")
    assert line.attributes == {"request_id": "abc", "nested": {"n": 1}}
    assert (line.trace_id, line.span_id) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    assert (line.scope, line.resource["service.name"]) == ("reader.scope", "reader-test")


def test_points_come_back_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = PeriodicExportingMetricReader(FileMetricExporter(path), export_interval_millis=math.inf)
    provider = MeterProvider([reader], resource=RESOURCE, shutdown_on_exit=False)
    meter = provider.get_meter("reader.scope")
    span = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(span))
    meter.create_counter("tts.requests", "{request}").add(3, {"tts.outcome": "ok"})
    meter.create_gauge("tts.stage.open_age", "s").set(0.5)
    meter.create_histogram("tts.request.duration", "s", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(
        1.5, {"tts.outcome": "ok"}, context=context
    )
    provider.force_flush()
    provider.shutdown()

    counter, gauge, histogram = read_points(path)

    assert (counter.metric, counter.kind, counter.unit, counter.value) == ("tts.requests", "sum", "{request}", 3.0)
    assert counter.attributes == {"tts.outcome": "ok"}
    assert (gauge.metric, gauge.kind, gauge.value, gauge.count) == ("tts.stage.open_age", "gauge", 0.5, None)
    assert (histogram.kind, histogram.value, histogram.count, histogram.sum) == ("histogram", None, 1, 1.5)
    assert (histogram.bounds, histogram.buckets) == ((1.0, 2.0), (0, 1, 0))
    (exemplar,) = histogram.exemplars
    assert (exemplar.value, exemplar.trace_id, exemplar.span_id) == (1.5, f"{0xABC:032x}", f"{0xDEF:016x}")
    assert histogram.time >= histogram.start > 0


def test_a_torn_last_line_is_left_out_and_said(traces: Path) -> None:
    whole = traces.read_bytes()
    traces.write_bytes(whole + whole.splitlines()[0][:40])
    bad: list[BadLine] = []

    assert len(list(read_spans(traces, bad.append))) == 2
    (torn,) = bad
    assert torn.torn and torn.number == whole.count(b"\n") + 1
    assert str(torn).startswith(f"{traces}, line {torn.number} is torn")


def test_a_whole_last_line_without_line_feed_counts(traces: Path) -> None:
    traces.write_bytes(traces.read_bytes().rstrip(b"\n"))
    bad: list[BadLine] = []

    assert len(list(read_spans(traces, bad.append))) == 2
    assert bad == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"resourceSpans": [', "not JSON at character 20"),
        (b"[1, 2]", "not OTLP JSON (AttributeError)"),
        (b"null", "not OTLP JSON (AttributeError)"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}', "not OTLP JSON (KeyError)"),
        (b'{"resourceSpans":"\xff"}', "not UTF-8"),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_read(traces: Path, line: bytes, reason: str) -> None:
    whole = traces.read_bytes()
    traces.write_bytes(whole + line + b"\n\n" + whole)
    bad: list[BadLine] = []

    assert len(list(read_spans(traces, bad.append))) == 4
    assert bad == [BadLine(traces, whole.count(b"\n") + 1, False, reason)]


def test_a_broken_line_is_logged_when_nobody_asks(traces: Path, caplog: pytest.LogCaptureFixture) -> None:
    traces.write_bytes(b"{secret}\n" + traces.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert len(list(read_spans(traces))) == 2

    assert f"{traces}, line 1 is broken" in caplog.text
    assert "secret" not in caplog.text


def test_values_that_json_writes_as_strings_or_names(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    values = [
        {"key": "nan", "value": {"doubleValue": "NaN"}},
        {"key": "far", "value": {"doubleValue": "-Infinity"}},
        {"key": "big", "value": {"intValue": "9007199254740993"}},
        {"key": "nothing", "value": {}},
    ]
    span = {
        "traceId": "0a", "spanId": "0b", "name": "x", "kind": "SPAN_KIND_CLIENT", "startTimeUnixNano": "1",
        "endTimeUnixNano": 2, "attributes": values, "status": {"code": "STATUS_CODE_ERROR"},
    }  # fmt: skip
    path.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))

    (read,) = read_spans(path)

    assert math.isnan(read.attributes["nan"]) and read.attributes["far"] == -math.inf
    assert read.attributes["big"] == 2**53 + 1 and read.attributes["nothing"] is None
    assert (read.kind, read.status, read.start, read.end) == ("client", "error", 1, 2)


def test_reading_begins_before_the_file_is_read_whole(traces: Path) -> None:
    traces.write_bytes(traces.read_bytes() + b"broken\n")
    bad: list[BadLine] = []
    spans = read_spans(traces, bad.append)

    next(spans)
    assert bad == []
    spans.close()


def test_a_missing_file_is_the_callers_business(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_spans(tmp_path / "traces.jsonl"))


def test_files_of_all_processes_are_found_and_a_packed_one_is_unpacked(traces: Path, tmp_path: Path) -> None:
    content = traces.read_bytes()
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "traces-host-1-20261130T021405.000001Z.jsonl.gz").write_bytes(gzip.compress(content))
    (folder / "traces-host-1.jsonl").write_bytes(content)
    (folder / "logs-host-1.jsonl").write_bytes(b"")
    found = find(folder, TRACES)
    assert [path.name for path in found] == ["traces-host-1-20261130T021405.000001Z.jsonl.gz", "traces-host-1.jsonl"]
    packed, plain = (list(read_spans(path)) for path in found)
    assert packed == plain and len(plain) == 2


def test_a_packed_file_without_its_end_is_torn(traces: Path, tmp_path: Path) -> None:
    packed = tmp_path / "traces-h-1.jsonl.gz"
    packed.write_bytes(gzip.compress(traces.read_bytes() * 50)[:-20])
    bad: list[BadLine] = []
    assert len(list(read_spans(packed, bad.append))) <= 100
    assert [line.torn for line in bad] == [True]

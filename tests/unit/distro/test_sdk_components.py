# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Pins what is relied on of OpenTelemetry's private parts: when one of these fails after an update, look there."""

from __future__ import annotations

import inspect
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import opentelemetry.sdk._configuration as sdk
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_tts.distro import sdk_components
from otel_tts.distro.losses import Counted, Losses
from otel_tts.distro.pipeline import Pipeline


def test_the_parts_that_build_takes_are_there() -> None:
    assert list(inspect.signature(sdk._import_exporters).parameters) == [
        "trace_exporter_names", "metric_exporter_names", "log_exporter_names",
    ]  # fmt: skip
    assert {"exporters", "sampler", "resource"} <= set(inspect.signature(sdk._init_tracing).parameters)
    assert list(inspect.signature(sdk._init_metrics).parameters)[:2] == ["exporters_or_readers", "resource"]
    assert {"exporters", "resource", "setup_logging_handler"} <= set(inspect.signature(sdk._init_logging).parameters)
    assert sdk._get_sampler() is None and sdk._get_exporter_names("traces") == []


def test_attributes_are_added_to_the_resources_of_own_providers() -> None:
    resource = Resource({"service.name": "a"})
    pipeline = Pipeline(
        TracerProvider(resource=resource, shutdown_on_exit=False),
        MeterProvider(resource=resource, shutdown_on_exit=False),
        LoggerProvider(resource=resource, shutdown_on_exit=False),
        frozenset({"logs"}),
    )
    sdk_components.add_to_resource(pipeline, {"added": "b"})
    found = [dict(sdk_components.resource_of(provider)) for provider in pipeline.all]
    assert found == [{"service.name": "a", "added": "b"}, {"service.name": "a", "added": "b"}, {"service.name": "a"}]


def test_what_waits_and_what_is_dropped_is_counted() -> None:
    processor = BatchSpanProcessor(InMemorySpanExporter(), 4, schedule_delay_millis=600_000, max_export_batch_size=4)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    dropped: list[int] = []
    assert sdk_components.count_drops(processor, dropped.append)
    with processor._batch_processor._export_lock:  # nothing leaves meanwhile
        for _ in range(7):
            provider.get_tracer("x").start_span("x").end()
        assert sdk_components.waiting_in(processor) == 4
    assert dropped == [1, 1, 1]
    provider.shutdown()
    assert sdk_components.waiting_in(processor) == 0


def test_log_processors_are_counted_too() -> None:
    processor = BatchLogRecordProcessor(InMemoryLogRecordExporter())
    assert sdk_components.count_drops(processor, lambda count: None)
    assert sdk_components.waiting_in(processor) == 0
    processor.shutdown()


def test_other_processors_are_left_alone() -> None:
    assert not sdk_components.count_drops(object(), lambda count: None)
    assert sdk_components.waiting_in(object()) == 0


def test_an_exporter_is_given_connections_of_its_own() -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:1/v1/traces")
    before = dict(exporter._client._transport._session.adapters)
    assert sdk_components.renew_connections(exporter)
    after = exporter._client._transport._session.adapters
    assert list(after) == list(before)
    assert all(after[prefix].poolmanager is not before[prefix].poolmanager for prefix in before)
    assert not sdk_components.renew_connections(InMemorySpanExporter())
    exporter.shutdown()


class Exporter:
    def __init__(self, result: object) -> None:
        self.result = result

    def export(self, batch: object) -> object:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_failed_exports_are_counted_by_kind() -> None:
    from opentelemetry.sdk.trace.export import SpanExportResult

    losses = Losses()
    assert Counted(Exporter(SpanExportResult.SUCCESS), "spans", losses).export([1, 2]) is SpanExportResult.SUCCESS
    assert losses.undelivered() == {}
    Counted(Exporter(SpanExportResult.FAILURE), "spans", losses).export([1, 2])
    try:
        Counted(Exporter(OSError()), "log records", losses).export([1])
    except OSError:
        pass
    assert losses.undelivered() == {"spans": 2, "log records": 1}
    losses.renew()
    assert losses.undelivered() == {}


def test_why_an_exporter_failed_is_heard_and_where_it_sends_to_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    exporter = OTLPSpanExporter(f"http://user:secret@{address}/v1/traces", timeout=0.1)
    assert sdk_components.place_of(exporter).name == f"http://{address}"
    heard: list[str] = []
    assert sdk_components.hear_failures(exporter, heard.append)
    assert exporter.export([]).name == "FAILURE"
    exporter.shutdown()
    assert len(heard) == 1 and "Connection refused" in heard[0]
    assert not sdk_components.hear_failures(InMemorySpanExporter(), heard.append)
    assert sdk_components.place_of(InMemorySpanExporter()).name == "InMemorySpanExporter"


def test_a_redirect_is_no_success() -> None:
    """The exporter does not follow it and says SUCCESS: the batch would be lost unseen."""

    class Moved(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(301)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Moved) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{server.server_address[1]}/v1/traces")
        assert exporter.export([]).name == "SUCCESS", "upstream has mended it: take ours away"
        heard: list[str] = []
        sdk_components.hear_failures(exporter, heard.append)
        assert exporter.export([]).name == "FAILURE" and "301" in heard[0]
        exporter.shutdown()
        server.shutdown()

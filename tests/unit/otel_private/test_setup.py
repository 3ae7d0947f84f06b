# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Pins what is relied on of OpenTelemetry's private parts: when one of these fails after an update, look there."""

from __future__ import annotations

import logging
import logging.config
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_tts.distro import outages
from otel_tts.distro.losses import Counted, Losses
from otel_tts.otel_private import exporters, providers, setup
from otel_tts.otel_private.ids import OwnIdGenerator
from otel_tts.otel_private.pipeline import Pipeline


def test_exporters_are_found_by_name_and_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert setup.load_exporter("traces", "otlp").__module__.split(".")[3:5] == ["proto", "grpc"]
    assert setup.load_exporter("logs", "otlp_proto_http").__module__.split(".")[3:5] == ["proto", "http"]
    for signal in ("traces", "metrics", "logs"):
        assert setup.load_exporter(signal, "otel_tts_otlp").__module__ == "otel_tts.export.exporters"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    for signal in ("traces", "metrics", "logs"):
        assert setup.load_exporter(signal, "otlp").__module__ == "otel_tts.export.exporters"
    for name in (
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_LOGS_CREDENTIAL_PROVIDER",
        "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    ):
        with monkeypatch.context() as asked:
            asked.setenv(name, "true")
            assert setup.load_exporter("logs", "otlp").__module__.split(".")[3:5] == ["proto", "http"]
    with pytest.raises(RuntimeError, match="pigeon"):
        setup.load_exporter("metrics", "pigeon")


def test_without_the_extra_ours_stand_in_where_they_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the environment without the SDK's exporters (tests/protobuf3) shows as a whole."""

    def ours_alone(**asked: str) -> list[str]:
        return [asked["name"]] if asked["name"] == "otel_tts_otlp" else []

    monkeypatch.setattr(setup, "entry_points", ours_alone)
    assert setup.load_exporter("logs", "otlp_proto_http").__module__ == "otel_tts.export.exporters"
    assert "[otlp]" in caplog.text and "Until then ours sends the same" in caplog.text
    for name, value, exporter in (
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "otlp"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "mine", "otlp_proto_http"),
    ):
        with monkeypatch.context() as wanted:
            wanted.setenv(name, value)
            assert not setup.is_the_sdks("logs", exporter)
            with pytest.raises(setup.NotInstalled, match=r"\[otlp\].*Until then no logs leave"):
                setup.load_exporter("logs", exporter)


@pytest.mark.parametrize(
    ("exporter", "is_theirs"),
    [("otlp", False), ("otlp_proto_http", True), ("otlp_proto_grpc", True), ("console", False), ("pigeon", False)],
)
def test_whose_exporter_it_is(exporter: str, is_theirs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert setup.is_the_sdks("traces", exporter) == is_theirs


def test_providers_take_what_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    resource = Resource({"service.name": "a"})
    tracers = setup.make_tracer_provider(resource, lambda _, call: call())
    assert not tracers.get_tracer("x").start_span("x").is_recording()
    assert isinstance(tracers.id_generator, OwnIdGenerator)
    reader = InMemoryMetricReader()
    meters = setup.make_meter_provider([reader], resource)
    meters.get_meter("x").create_counter("x").add(1)
    assert reader.get_metrics_data() is not None
    loggers = setup.make_logger_provider(resource)
    for provider in (tracers, meters, loggers):
        assert dict(providers.resource_of(provider)) == {"service.name": "a"}
        provider.shutdown()


def test_the_sdks_log_handler_only_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    before = list(logging.getLogger().handlers)
    setup.add_the_sdks_log_handler(provider)
    assert logging.getLogger().handlers == before
    monkeypatch.setenv("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "true")
    for module, name in ((logging, "basicConfig"), (logging.config, "dictConfig"), (logging.config, "fileConfig")):
        monkeypatch.setattr(module, name, getattr(module, name))  # the SDK replaces them
    with pytest.deprecated_call():
        setup.add_the_sdks_log_handler(provider)
    (added,) = [handler for handler in logging.getLogger().handlers if handler not in before]
    logging.getLogger().removeHandler(added)
    assert added.__class__.__name__ == "LoggingHandler"


def test_a_configuration_file_is_taken_signal_by_signal(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(
        """
file_format: "1.0"
resource: {attributes: [{name: service.name, value: from-file}]}
tracer_provider: {processors: [{simple: {exporter: {console: {}}}}]}
meter_provider: {readers: [{periodic: {exporter: {pigeon: {}}}}]}
"""
    )
    read = setup.ConfigurationFile(str(file))
    tracers = read.make_provider("traces")
    assert providers.resource_of(tracers)["service.name"] == "from-file"
    tracers.shutdown()
    with pytest.raises(Exception, match="pigeon"):
        read.make_provider("metrics")
    assert read.make_provider("logs") is None


def test_attributes_are_added_to_the_resources_of_own_providers() -> None:
    resource = Resource({"service.name": "a"})
    pipeline = Pipeline(
        TracerProvider(resource=resource, shutdown_on_exit=False),
        MeterProvider(resource=resource, shutdown_on_exit=False),
        LoggerProvider(resource=resource, shutdown_on_exit=False),
        frozenset({"logs"}),
    )
    providers.add_to_resource(pipeline, {"added": "b"})
    found = [dict(providers.resource_of(provider)) for provider in pipeline.all]
    assert found == [{"service.name": "a", "added": "b"}, {"service.name": "a", "added": "b"}, {"service.name": "a"}]


def test_what_waits_and_what_is_dropped_is_counted() -> None:
    processor = BatchSpanProcessor(InMemorySpanExporter(), 4, schedule_delay_millis=600_000, max_export_batch_size=4)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    dropped: list[int] = []
    assert providers.count_drops(processor, dropped.append)
    with processor._batch_processor._export_lock:  # nothing leaves meanwhile
        for _ in range(7):
            provider.get_tracer("x").start_span("x").end()
        assert providers.waiting_in(processor) == 4
    assert dropped == [1, 1, 1]
    provider.shutdown()
    assert providers.waiting_in(processor) == 0


def test_log_processors_are_counted_too() -> None:
    processor = BatchLogRecordProcessor(InMemoryLogRecordExporter())
    assert providers.count_drops(processor, lambda count: None)
    assert providers.waiting_in(processor) == 0
    processor.shutdown()


def test_other_processors_are_left_alone() -> None:
    assert not providers.count_drops(object(), lambda count: None)
    assert providers.waiting_in(object()) == 0


def test_an_exporter_is_given_connections_of_its_own() -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:1/v1/traces")
    before = dict(exporter._client._transport._session.adapters)
    assert exporters.renew_connections(exporter)
    after = exporter._client._transport._session.adapters
    assert list(after) == list(before)
    assert all(after[prefix].poolmanager is not before[prefix].poolmanager for prefix in before)
    assert not exporters.renew_connections(InMemorySpanExporter())
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
    assert outages.place_of(exporter).name == f"http://{address}"
    heard: list[str] = []
    assert exporters.hear_failures(exporter, heard.append)
    assert exporter.export([]).name == "FAILURE"
    exporter.shutdown()
    assert len(heard) == 1 and "Connection refused" in heard[0]
    assert not exporters.hear_failures(InMemorySpanExporter(), heard.append)
    assert outages.place_of(InMemorySpanExporter()).name == "InMemorySpanExporter"


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
        exporters.hear_failures(exporter, heard.append)
        assert exporter.export([]).name == "FAILURE" and "301" in heard[0]
        exporter.shutdown()
        server.shutdown()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service that sends to the stack with OpenTelemetry's own SDK over OTLP/HTTP, without any global provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry._logs import Logger
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer


class Sender:
    """`tracer`, `meter` and `logger` of one service; `flush` returns when the Collector has answered."""

    def __init__(self, endpoint: str, service: str) -> None:
        resource = Resource.create({"service.name": service, "service.namespace": "tests"})
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"), 3600_000)
        self._metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.tracer: Tracer = self._traces.get_tracer("tests")
        self.meter: Meter = self._metrics.get_meter("tests")
        self.logger: Logger = self._logs.get_logger("tests")

    def flush(self) -> None:
        assert self._traces.force_flush()
        assert self._logs.force_flush()
        assert self._metrics.force_flush()

    def close(self) -> None:
        self._traces.shutdown()
        self._logs.shutdown()
        self._metrics.shutdown()


@contextmanager
def sender(endpoint: str, service: str) -> Iterator[Sender]:
    one = Sender(endpoint, service)
    try:
        yield one
    finally:
        one.close()


def trace_id(span: object) -> str:
    """The id of a span's trace in hexadecimal."""
    return format(span.get_span_context().trace_id, "032x")  # type: ignore[attr-defined]

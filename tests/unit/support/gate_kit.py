# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Real SDK providers in memory behind the gate, and what they exported as OTLP."""

from __future__ import annotations

from collections import Counter
from typing import Any

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_tts.privacy import gate
from otel_tts.privacy.policy import Policy


def counting(policy: Policy) -> Policy:
    """Give `policy` counts of its own, so that tests do not see each other's."""
    policy.redacted, policy.dropped = Counter(), Counter()
    return policy


class Pipeline:
    """Three providers, their gate and their memory."""

    def __init__(self, policy: Policy | None = None, resource: Resource | None = None, **meter: Any) -> None:
        self.policy = counting(policy or Policy())
        resource = resource or Resource({"service.name": "test"})
        self.span_memory, self.log_memory = InMemorySpanExporter(), InMemoryLogRecordExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.span_memory))
        self.loggers = LoggerProvider(resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.log_memory))
        self.meters = MeterProvider([self.reader], resource, shutdown_on_exit=False, **meter)
        self.names = gate.install(self.tracers, self.meters, self.loggers, self.policy)

    def span_bytes(self) -> bytes:
        return encode_spans(self.span_memory.get_finished_spans()).SerializeToString()

    def log_bytes(self) -> bytes:
        return encode_logs(self.log_memory.get_finished_logs()).SerializeToString()

    def metric_bytes(self) -> bytes:
        data = self.reader.get_metrics_data()
        return b"" if data is None else encode_metrics(data).SerializeToString()

    def everything(self) -> bytes:
        # OTLP leaves out the trace state of links; the console and other exporters have it.
        links = [link.context.trace_state for span in self.span_memory.get_finished_spans() for link in span.links]
        shown = repr([dict(state) for state in links]).encode() if any(links) else b""
        return b"\n".join((self.span_bytes(), self.log_bytes(), self.metric_bytes(), shown))

    def spans(self) -> list[Any]:
        """Decoded spans, in the order of their end."""
        request = ExportTraceServiceRequest.FromString(self.span_bytes())
        return [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]

    def logs(self) -> list[Any]:
        request = ExportLogsServiceRequest.FromString(self.log_bytes())
        return [record for r in request.resource_logs for scope in r.scope_logs for record in scope.log_records]

    def metrics(self) -> dict[str, Any]:
        """Decoded metrics by name."""
        request = ExportMetricsServiceRequest.FromString(self.metric_bytes())
        return {m.name: m for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics}


def plain(attributes: Any) -> dict[str, Any]:
    """OTLP key-values as a dict."""
    return {kv.key: getattr(kv.value, kv.value.WhichOneof("value") or "string_value") for kv in attributes}

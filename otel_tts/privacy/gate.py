# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The privacy gate: stands before every exporter of the SDK's providers and lets pass what the policy allows.

It is put in afterwards, into finished providers, since that works for providers that variables, a configuration file
or the application made. It stands at the exporters and not in a span processor: instrumentations set attributes again
after ``on_start``, and an ended span cannot be changed (https://github.com/open-telemetry/opentelemetry-python/issues/5614).

It fails closed: what the policy cannot judge is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_tts import guard
from otel_tts.otel_private import providers
from otel_tts.privacy.cleaner import Cleaner, _same
from otel_tts.privacy.policy import Policy

# --- exporters -------------------------------------------------------------------------------------------------------


class GatedSpanExporter(SpanExporter):
    """Hands clean spans to `exporter`."""

    def __init__(self, exporter: SpanExporter, cleaner: Cleaner) -> None:
        self.exporter, self.cleaner = exporter, cleaner
        # The batch processor asks shutdown's signature whether the exporter takes the time that is left.
        self.shutdown = exporter.shutdown
        self.force_flush = exporter.force_flush

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what may leave. Held back is not failed: SUCCESS."""
        clean = self.cleaner.clean_all(spans, self.cleaner.span)
        return self.exporter.export(clean) if clean else SpanExportResult.SUCCESS


class GatedLogExporter(LogRecordExporter):
    """Hands clean log records to `exporter`."""

    def __init__(self, exporter: LogRecordExporter, cleaner: Cleaner) -> None:
        self.exporter, self.cleaner = exporter, cleaner
        self.shutdown = exporter.shutdown
        self.force_flush = exporter.force_flush

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export what may leave."""
        clean = self.cleaner.clean_all(batch, self.cleaner.log)
        return self.exporter.export(clean) if clean else LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Replaced by the exporter's own; here because the base class is abstract."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Replaced by the exporter's own."""
        return True


class GatedReceive:
    """Takes the place of a metric reader's ``_receive_metrics``, which exporting and pulled readers share."""

    def __init__(self, receive: Callable[..., None], cleaner: Cleaner) -> None:
        self.receive, self.cleaner = receive, cleaner

    def __call__(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        given = metrics_data.resource_metrics
        clean = self.cleaner.clean_all(given, self.cleaner.resource_metrics)
        if clean:
            data = metrics_data if _same(clean, given) else MetricsData(resource_metrics=clean)
            self.receive(data, timeout_millis=timeout_millis, **kwargs)


# --- installation ----------------------------------------------------------------------------------------------------


def install(tracer_provider: Any, meter_provider: Any, logger_provider: Any, policy: Policy) -> list[str]:
    """Put a gate before every exporter of these SDK providers, and return the exporters' names.

    A second call finds the gates in place and gives them `policy`. Providers that are not the SDK's are left alone.
    Where the SDK changed and an exporter cannot be reached, its processor is shut down: nothing leaves ungated.
    """
    cleaner = Cleaner(policy)
    steps: list[tuple[Any, Callable[[Any], str | None]]] = [
        *(
            (p, partial(_gate_processor, GatedSpanExporter, cleaner))
            for p in providers.span_processors(tracer_provider)
        ),
        *((p, partial(_gate_processor, GatedLogExporter, cleaner)) for p in providers.log_processors(logger_provider)),
        *((r, partial(_gate_reader, cleaner)) for r in providers.metric_readers(meter_provider)),
    ]
    gated: list[str] = []
    for holder, put_in in steps:
        try:
            name = put_in(holder)
        except Exception as error:
            guard.note_fault("privacy_gate", error)
            guard.contain("privacy_gate", holder.shutdown)
            continue
        if name is not None:
            gated.append(name)
    for provider in (tracer_provider, meter_provider, logger_provider):
        if providers.is_opaque(provider):
            guard.contain("privacy_gate", provider.shutdown)
    # Judged now and not at the first export, so that the start can name what of the resource does not leave.
    if isinstance(resource := getattr(tracer_provider, "resource", None), Resource):
        guard.contain("privacy_gate", cleaner.resource, resource)
    return gated


def ungated(tracer_provider: Any, meter_provider: Any, logger_provider: Any) -> list[str]:
    """Return the names of exporters of these providers that no gate stands before."""
    processors = (*providers.span_processors(tracer_provider), *providers.log_processors(logger_provider))
    exporters = (providers.exporter_of(processor) for processor in processors)
    open_exporters = [
        type(exporter).__name__
        for exporter in exporters
        if exporter is not None and not isinstance(exporter, (GatedSpanExporter, GatedLogExporter))
    ]
    readers = providers.metric_readers(meter_provider)
    return open_exporters + [
        type(reader).__name__ for reader in readers if not isinstance(providers.receiver_of(reader), GatedReceive)
    ]


def _gate_processor(gate: Any, cleaner: Cleaner, processor: Any) -> str | None:
    exporter = providers.exporter_of(processor)
    if isinstance(exporter, (GatedSpanExporter, GatedLogExporter)):
        exporter.cleaner = cleaner
        exporter = exporter.exporter
    elif exporter is None:
        if providers.exports(processor):  # it does export, but how is not known
            processor.shutdown()
        return None
    elif not providers.replace_exporter(processor, gate(exporter, cleaner)):
        processor.shutdown()
        return None
    return type(exporter).__name__


def _gate_reader(cleaner: Cleaner, reader: Any) -> str | None:
    receive = providers.receiver_of(reader)
    if isinstance(receive, GatedReceive):
        receive.cleaner = cleaner
    elif receive is None or not providers.replace_receiver(reader, GatedReceive(receive, cleaner)):
        reader.shutdown()
        return None
    exporter = providers.exporter_of(reader)
    return type(reader if exporter is None else exporter).__name__

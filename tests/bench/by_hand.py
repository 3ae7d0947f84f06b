# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's telemetry written by hand with the OpenTelemetry SDK, as its documentation shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.bench import by_api
from tests.bench.by_api import Log
from tests.bench.plain_names import names


def make(direct_logs: bool = False, queue: int = 16384) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush. Log lines go through ``logging``, or with `direct_logs` straight to the SDK."""
    resource = Resource.create({"service.name": "bench"})
    tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=queue))
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(), max_queue_size=queue))

    def flush() -> None:
        for provider in (tracers, meters, loggers):
            provider.force_flush()

    log = _to_sdk(loggers) if direct_logs else _to_logging(loggers)
    scope = names.SCOPE, version("otel-tts")
    return by_api.request(tracers.get_tracer(*scope), meters.get_meter(*scope), log), flush


def make_spans() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request that leaves spans alone, and a flush."""
    tracers = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=16384))

    def flush() -> None:
        tracers.force_flush()

    return by_api.spans(tracers.get_tracer(names.SCOPE)), flush


def _to_logging(loggers: Any) -> Log:
    logger = logging.getLogger(names.SCOPE + ".bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=loggers))

    def log(event: str, body: str, attributes: dict[str, Any]) -> None:
        logger.info(body, extra={"otel.event.name": event, **attributes})

    return log


def _to_sdk(loggers: Any) -> Log:
    logger = loggers.get_logger(names.SCOPE, version("otel-tts"))

    def log(event: str, body: str, attributes: dict[str, Any]) -> None:
        stamp = time.time_ns()
        logger.emit(
            LogRecord(
                timestamp=stamp, observed_timestamp=stamp, context=get_current(), severity_number=SeverityNumber.INFO,
                severity_text="INFO", body=body, event_name=event, attributes=attributes,
            )
        )  # fmt: skip

    return log

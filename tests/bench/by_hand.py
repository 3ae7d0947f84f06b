# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's telemetry written by hand with the OpenTelemetry SDK, as its documentation shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import count
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

from otel_tts import names
from otel_tts.version import __version__
from tests.bench.content import AUDIO, ENGINE, LANGUAGE, MEMORY, MODEL, PEAK, STAGES, TEXT, VOICE

Log = Callable[[str, str, dict[str, Any]], None]


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
    return _request(
        tracers.get_tracer(names.SCOPE, __version__), meters.get_meter(names.SCOPE, __version__), log
    ), flush


def _request(tracer: Any, meter: Any, log: Log) -> Callable[[], None]:
    def histogram(metric: names.Metric) -> Any:
        return meter.create_histogram(
            metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=metric.edges
        )

    requests = meter.create_counter(names.REQUESTS.name, names.REQUESTS.unit, names.REQUESTS.meaning)
    duration, stage_duration = histogram(names.REQUEST_DURATION), histogram(names.STAGE_DURATION)
    peak, characters = histogram(names.STAGE_MEMORY_PEAK), histogram(names.TEXT_CHARACTERS)
    first_byte, first_audio = histogram(names.FIRST_BYTE), histogram(names.FIRST_AUDIO)
    rtf, seconds = histogram(names.RTF), histogram(names.AUDIO_SECONDS)
    both = {names.ENGINE: ENGINE, names.MODEL: MODEL}
    numbers = count()

    def request() -> None:
        request_id = f"req-{next(numbers)}"
        began = time.perf_counter()
        known = {
            names.REQUEST_ID: request_id,
            names.OPERATION_NAME: names.OPERATION,
            names.OUTPUT_TYPE: "speech",
            names.MODEL: MODEL,
            names.PROVIDER: ENGINE,
            names.ENGINE: ENGINE,
            names.TEXT_LENGTH: len(TEXT),
            names.TEXT_LANGUAGE: LANGUAGE,
            names.VOICE: VOICE,
        }
        with tracer.start_as_current_span(f"{names.OPERATION} {MODEL}", attributes=known) as root:
            start = {
                names.REQUEST_ID: request_id,
                names.ENGINE: ENGINE,
                names.TEXT_LENGTH: len(TEXT),
                names.VOICE: VOICE,
            }
            fields = f"request_id={request_id} engine={ENGINE} text_len={len(TEXT)} voice={VOICE}"
            log(names.REQ_START, f"REQ_START {fields}", start)
            times: dict[str, float] = {}
            for stage in STAGES:
                stage_began = time.perf_counter()
                with tracer.start_as_current_span(
                    names.STAGE_PREFIX + stage,
                    attributes={names.STAGE: stage, names.TIMING_MODE: "host", names.MEMORY_PEAK: PEAK},
                ) as span:
                    span.add_event(names.MEMORY_EVENT, MEMORY)
                    peak.record(PEAK, {names.ENGINE: ENGINE, names.STAGE: stage})
                times[stage] = time.perf_counter() - stage_began
                stage_duration.record(times[stage], {names.ENGINE: ENGINE, names.STAGE: stage})
            root.set_attributes(AUDIO)
            root.set_attributes({names.OUTCOME: "ok", names.SEGMENT_COUNT: 1})
            took = time.perf_counter() - began
            requests.add(1, {**both, names.VOICE: VOICE, names.OUTCOME: "ok"})
            duration.record(took, {**both, names.OUTCOME: "ok"})
            characters.record(len(TEXT), both)
            first_byte.record(AUDIO[names.TIME_TO_FIRST_BYTE], both)
            first_audio.record(AUDIO[names.TIME_TO_FIRST_AUDIO], both)
            rtf.record(AUDIO[names.REAL_TIME_FACTOR], both)
            seconds.record(AUDIO[names.AUDIO_DURATION], both)
            body = (
                f"REQ_SUCCESS {fields} duration={took:.4g} audio_duration={AUDIO[names.AUDIO_DURATION]:.4g} "
                f"audio_size={AUDIO[names.AUDIO_SIZE]} sample_rate={AUDIO[names.AUDIO_SAMPLE_RATE]} "
                f"channels={AUDIO[names.AUDIO_CHANNELS]} rtf={AUDIO[names.REAL_TIME_FACTOR]:.4g} status=ok"
            )
            end = {
                **start,
                names.AUDIO_DURATION: AUDIO[names.AUDIO_DURATION],
                names.AUDIO_SIZE: AUDIO[names.AUDIO_SIZE],
                names.AUDIO_SAMPLE_RATE: AUDIO[names.AUDIO_SAMPLE_RATE],
                names.AUDIO_CHANNELS: AUDIO[names.AUDIO_CHANNELS],
                names.REAL_TIME_FACTOR: AUDIO[names.REAL_TIME_FACTOR],
                names.OUTCOME: "ok",
            }
            log(names.REQ_SUCCESS, body, end)
            spent = " ".join(f"{stage}={seconds:.4g}" for stage, seconds in times.items())
            whole = f"total={took:.4g} other={took - sum(times.values()):.4g}"
            log(names.STAGE_TIME, f"STAGE_TIME request_id={request_id} {spent} {whole}", {names.REQUEST_ID: request_id})

    return request


def _to_logging(loggers: Any) -> Log:
    logger = logging.getLogger(names.SCOPE + ".bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=loggers))

    def log(event: str, body: str, attributes: dict[str, Any]) -> None:
        logger.info(body, extra={"otel.event.name": event, **attributes})

    return log


def _to_sdk(loggers: Any) -> Log:
    logger = loggers.get_logger(names.SCOPE, __version__)

    def log(event: str, body: str, attributes: dict[str, Any]) -> None:
        stamp = time.time_ns()
        logger.emit(
            LogRecord(
                timestamp=stamp, observed_timestamp=stamp, context=get_current(), severity_number=SeverityNumber.INFO,
                severity_text="INFO", body=body, event_name=event, attributes=attributes,
            )
        )  # fmt: skip

    return log

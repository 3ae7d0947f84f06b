# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's telemetry written with OpenTelemetry's API alone, into whatever stands behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

from opentelemetry import _logs, metrics, trace

from tests.bench.content import AUDIO, ENGINE, LANGUAGE, MEMORY, MODEL, PEAK, STAGES, TEXT, VOICE
from tests.bench.plain_names import names

Log = Callable[[str, str, dict[str, Any]], None]

ROOT = f"{names.OPERATION} {MODEL}"
END = {names.OUTCOME: "ok", names.SEGMENT_COUNT: 1}


def of_request(request_id: str) -> dict[str, Any]:
    """What a request's span knows when it begins."""
    return {
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


def of_stage(stage: str) -> dict[str, Any]:
    """What a stage's span knows."""
    return {names.STAGE: stage, names.TIMING_MODE: "host", names.MEMORY_PEAK: PEAK}


def spans(tracer: Any) -> Callable[[], None]:
    """Return a request that leaves one root and five children, and nothing else."""
    numbers = count()

    def request() -> None:
        with tracer.start_as_current_span(ROOT, attributes=of_request(f"req-{next(numbers)}")) as root:
            for stage in STAGES:
                with tracer.start_as_current_span(names.STAGE_PREFIX + stage, attributes=of_stage(stage)):
                    pass
            root.set_attributes(AUDIO)
            root.set_attributes(END)

    return request


def no_log(event: str, body: str, attributes: dict[str, Any]) -> None:
    """The log of a library that has none."""


def flush() -> None:
    """Send everything that waits in the global providers."""
    providers: tuple[Any, ...] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    for provider in providers:
        if hasattr(provider, "force_flush"):  # a library may leave the API's own, which does nothing
            provider.force_flush()


def request(tracer: Any, meter: Any, log: Log) -> Callable[[], None]:
    """Return a request that leaves spans, memory events, metric points and log records."""

    def histogram(metric: names.Metric) -> Any:
        return meter.create_histogram(
            metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=metric.edges
        )

    requests = meter.create_counter(names.REQUESTS.name, names.REQUESTS.unit, names.REQUESTS.meaning)
    duration, stage_duration = histogram(names.REQUEST_DURATION), histogram(names.STAGE_DURATION)
    peak, characters = histogram(names.STAGE_MEMORY_PEAK), histogram(names.TEXT_CHARACTERS)
    first_byte, first_audio = histogram(names.FIRST_BYTE), histogram(names.FIRST_AUDIO)
    rtf, seconds = histogram(names.RTF), histogram(names.AUDIO_SECONDS)
    others = histogram(names.OTHERS_AT_START)
    both = {names.ENGINE: ENGINE, names.MODEL: MODEL}
    numbers = count()

    def request() -> None:
        request_id = f"req-{next(numbers)}"
        began = time.perf_counter()
        with tracer.start_as_current_span(ROOT, attributes=of_request(request_id)) as root:
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
                    attributes=of_stage(stage),
                ) as span:
                    span.add_event(names.MEMORY_EVENT, MEMORY)
                    peak.record(PEAK, {names.ENGINE: ENGINE, names.STAGE: stage})
                times[stage] = time.perf_counter() - stage_began
                stage_duration.record(times[stage], {names.ENGINE: ENGINE, names.STAGE: stage})
            root.set_attributes(AUDIO)
            root.set_attributes(END)
            took = time.perf_counter() - began
            requests.add(1, {**both, names.VOICE: VOICE, names.OUTCOME: "ok"})
            duration.record(took, {**both, names.OUTCOME: "ok"})
            characters.record(len(TEXT), both)
            others.record(0, {names.ENGINE: ENGINE})
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

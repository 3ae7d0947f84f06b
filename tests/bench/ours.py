# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The same request with otel-tts's public way, set up as in production."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from opentelemetry import _logs, metrics, trace

import otel_tts
from otel_tts import names
from otel_tts.privacy import canary, gate
from tests.bench.content import AUDIO, ENGINE, LANGUAGE, MEMORY, MODEL, PEAK, STAGES, TEXT, VOICE


def make(gated: bool = True, lines: bool = False) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a request and a flush. `lines`: also the lines on stderr, which the by-hand way does not write."""
    if not gated:
        gate.install = lambda *_: []  # type: ignore[assignment]
        gate.ungated = lambda *_: []  # type: ignore[assignment]  # else nothing would be exported
        canary.check = lambda *_: None  # type: ignore[assignment]
    otel_tts.configure(service_name="bench", voices=(VOICE,), log_format="logfmt" if lines else "none")
    return request_maker(), flush


def request_maker() -> Callable[[], None]:
    """Return a request that records what `content` says."""
    numbers = count()

    def request() -> None:
        with otel_tts.synthesis(
            MODEL, engine=ENGINE, text=TEXT, voice=VOICE, language=LANGUAGE, request_id=f"req-{next(numbers)}"
        ) as synthesis:
            for name in STAGES:
                with synthesis.stage(name) as stage:
                    stage.add_event(names.MEMORY_EVENT, MEMORY)
                    stage.set_attribute(names.MEMORY_PEAK, PEAK)
            synthesis.set_attributes(AUDIO)

    return request


def flush() -> None:
    """Send everything that waits."""
    providers: tuple[Any, ...] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    for provider in providers:
        provider.force_flush()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect

from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import INVALID_SPAN

from otel_tts.instrumentation import fastapi


def test_the_options_are_those_that_the_instrumentation_takes() -> None:
    taken = inspect.signature(FastAPIInstrumentor.instrument_app).parameters
    assert set(fastapi.options()) <= set(taken)
    assert fastapi.options()["exclude_spans"] == ["receive", "send"]


def test_inner_apps_are_silenced_unless_somebody_speaks() -> None:
    silent: dict[str, object] = {}
    fastapi.silence_inner_apps(INVALID_SPAN, silent)
    assert silent == {"fastapi.telemetry": None}
    speaking = {"fastapi.telemetry": "somebody"}
    fastapi.silence_inner_apps(INVALID_SPAN, speaking)
    assert speaking == {"fastapi.telemetry": "somebody"}

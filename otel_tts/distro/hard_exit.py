# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""os._exit in a forked child: how the job processes of Celery and RQ end, and many that were written by hand.

Nothing runs at such an end, so it would lose what is younger than the export interval: of a child for one job,
everything. Elsewhere os._exit stays what it is: it is also how a program that hangs is ended.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.otel_private import providers
from otel_tts.otel_private.pipeline import Pipeline

PATIENCE_S: Final = 1.0
"""Seconds that such an end may take longer."""

_original: Final[Callable[[int], Any]] = os._exit
_pipeline: Pipeline | None = None
_flush: Callable[[float], object] | None = None
_armed = False
"""True in a child that was forked after the set-up and has not been flushed at its end yet."""


def install(pipeline: Pipeline, flush: Callable[[float], object]) -> None:
    """Let children of this process call `flush` with the seconds it may take."""
    global _pipeline, _flush
    _pipeline, _flush = pipeline, flush
    if os._exit is _original:
        os._exit = _leave  # pyright: ignore[reportAttributeAccessIssue]


def uninstall() -> None:
    """Give os._exit back, where nobody has wrapped it since (tests)."""
    global _pipeline, _flush, _armed
    _pipeline, _flush, _armed = None, None, False
    if os._exit is _leave:
        os._exit = _original


def arm() -> None:
    """Say that this is a forked child."""
    global _armed
    _armed = True


def disarm() -> None:
    """Say that this child has been flushed at its end."""
    global _armed
    _armed = False


@functools.wraps(_original)
def _leave(status: int) -> Any:
    """Flush once. A second thread, or a signal handler, that wants to leave meanwhile does so at once."""
    global _armed
    armed, _armed = _armed, False
    try:
        if armed and _flush is not None and contain("exit", _has_something_to_send):
            contain("exit", _flush, PATIENCE_S)
    finally:
        _original(status)


def _has_something_to_send() -> bool:
    from otel_tts.emit import emitter

    if _pipeline is None:
        return False
    current = emitter.current()
    processors = (*providers.span_processors(_pipeline.traces), *providers.log_processors(_pipeline.logs))
    return (
        (current is not None and current.waiting > 0)
        or any(map(providers.waiting_in, processors))
        or providers.has_measured(_pipeline.metrics)
    )

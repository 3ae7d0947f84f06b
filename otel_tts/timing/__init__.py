# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks for stages.

A stage always carries the host's times `t0` and `t1` (perf_counter_ns). A clock adds what only it can know: marks at
the stage's ends, and after the request the device's times. None stands for the host clock alone: it needs no marks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from otel_tts.stage import Stage

HOST = "host"


class Clock(Protocol):
    """What times a stage besides the host. No method may block the request or raise."""

    mode: str

    def begin(self, stage: Stage) -> object:
        """Mark the stage's start on its stream; the result is kept as ``stage.mark``."""

    def end(self, stage: Stage) -> None:
        """Mark the stage's end."""

    def resolve(self, stage: Stage) -> bool:
        """Off the request's path: put device times on the stage. False while the device has not passed the marks."""
        ...


def choose(wanted: str) -> tuple[Clock | None, str]:
    """Return the clock for the setting `wanted` and what to say about the choice (empty when it is as wanted)."""
    if wanted in ("auto", HOST):
        return None, ""
    return None, f"OTEL_TTS_CLOCK={wanted} is not available here; stages are timed on the host's clock"

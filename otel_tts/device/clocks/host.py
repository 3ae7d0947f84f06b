# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The host's clock: it needs no marks. Every stage has its times, and falls back to them."""

from __future__ import annotations

from typing import Final

from otel_tts import names
from otel_tts.device.clocks.clock import HOST
from otel_tts.record import StageRecord

CAPTURED: Final = "captured"
"""A CUDA graph was being captured: nothing may be recorded or asked then."""
UNRESOLVED: Final = "unresolved"
"""The device had not passed the stage's end when its time was over."""
OVERFLOW: Final = "overflow"
"""More events were waiting for the device than are kept."""
CLOCK_STEP: Final = "clock_step"
"""The device's clock and the host's contradict each other: suspend, reset, or a drift beyond any crystal's."""
FORKED: Final = "forked"
"""The process was forked inside the stage."""


def error_status(error: BaseException) -> str:
    """Return the status for an error of the device's API."""
    return f"error:{type(error).__name__}"


def keep_host_times(stage: StageRecord, status: str | None = None) -> None:
    """Say on the span that its times are the host's, and why."""
    stage.attrs[names.TIMING_MODE] = HOST
    if status is not None:
        stage.attrs[names.TIMING_STATUS] = status

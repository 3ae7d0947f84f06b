# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which clock times the stages, by OTEL_TTS_CLOCK; None stands for the host's alone, which needs no marks."""

from __future__ import annotations

from otel_tts.device.clocks.clock import HOST, Clock
from otel_tts.device.clocks.events import EVENTS, Events
from otel_tts.device.clocks.sync import SYNC, Sync
from otel_tts.device.torch.graphs import watch_torch

__all__ = ["EVENTS", "HOST", "SYNC", "Clock", "choose"]


def choose(wanted: str) -> tuple[Clock | None, str]:
    """Return the clock for the setting `wanted` and what to say about the choice (empty when it is as wanted).

    ``auto`` and ``events`` decide at each stage: there may be no device yet, and a stage may never use one.
    """
    if wanted == HOST:
        return None, ""
    watch_torch()
    if wanted == SYNC:
        return Sync(), "waits for the device at both ends of each stage: for debugging only"
    return Events(wanted=wanted == EVENTS), ""

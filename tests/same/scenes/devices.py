# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests whose stages run on a device."""

from __future__ import annotations

from typing import Any

import otel_tts
from tests.same import device
from tests.same.fixed import tick
from tests.same.scenes.scene import flush, scene


def speak_on(where: Any, request_id: str, take: int, wait: bool = True) -> None:
    from speaker import tone

    stream, allocator = where
    with device.at_work(), otel_tts.synthesis("own-model", engine="own", request_id=request_id) as s:
        with otel_tts.stage("text_frontend", device="cpu"):
            tick(0.002)
        with otel_tts.stage("acoustic_model"):
            allocator.take(take)
            for _ in range(2):
                tick(0.001)
                stream.launch(0.03)
            allocator.give_back(take // 2)
        with otel_tts.stage("vocoder"):
            stream.launch(0.02)
            if wait:
                stream.synchronize()
        s.audio(tone(0.5), 16000)
    allocator.give_back(take // 2)


@scene(OTEL_TTS_MEMORY_EVENTS="both")
def gpu() -> None:
    """Stages on a device: its own times, its memory, a device that is still at work at the end, and one that has no
    memory left."""
    stream, allocator = device.install()
    allocator.take(512 * device.MIB)
    speak_on((stream, allocator), "gpu-1", 64 * device.MIB)
    flush()
    tick(3)
    speak_on((stream, allocator), "gpu-2", 64 * device.MIB, wait=False)
    tick(3)
    flush()
    try:
        speak_on((stream, allocator), "gpu-3", device.CAPACITY)
    except device.OutOfMemoryError:
        pass
    flush()


@scene(OTEL_TTS_CLOCK="sync")
def gpu_sync() -> None:
    """The clock that waits for the device."""
    speak_on(device.install(), "sync-1", device.MIB)

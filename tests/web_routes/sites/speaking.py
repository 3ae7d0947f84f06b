# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the services here answer with: a voice of sines, as a WAV file."""

from __future__ import annotations

import io
import time
import wave

import numpy as np

import otel_tts

RATE = 24000
PATIENCE_S = 1.0


@otel_tts.synthesis("sparrow", text_argument="text", sample_rate=RATE)
def say(text: str) -> np.ndarray:
    with otel_tts.stage("acoustic_model"):
        time.sleep(0.002)
    return np.sin(np.arange(2400 * len(text)) * 0.1).astype(np.float32) / 3


def speak(text: str) -> bytes:
    samples = say(text)
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def speak_slowly(text: str) -> bytes:
    """Speak, and let the client wait, who has gone by then."""
    audio = speak(text)
    time.sleep(PATIENCE_S)
    return audio


def break_off(text: str) -> bytes:
    raise RuntimeError(f"cannot say: {text}")


WAYS = {"speak": speak, "slow": speak_slowly, "broken": break_off}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the services here speak with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import otel_tts


@otel_tts.synthesis("sparrow", text_argument="text", sample_rate=24000)
def say(text: str) -> np.ndarray:
    with otel_tts.stage("acoustic_model"):
        time.sleep(0.005)
    with otel_tts.stage("vocoder"):
        return sound(text)


def stream(text: str) -> Iterator[np.ndarray]:
    """As `say`, word by word."""
    with otel_tts.synthesis("sparrow") as synthesis:
        for word in text.split():
            with otel_tts.stage("vocoder"):
                samples = sound(word)
            synthesis.chunk(samples, 24000)
            yield samples


def stream_slowly(text: str) -> Iterator[bytes]:
    """As `stream`, so that a client can leave in the middle."""
    for samples in stream(text):
        yield samples.tobytes()
        time.sleep(0.05)


def say_slowly(text: str) -> bytes:
    """As `say`, and let the client wait, who goes when the file `spoken` lies in the home folder."""
    audio = say(text).tobytes()
    (Path.home() / "spoken").touch()
    time.sleep(2)
    return audio


def sound(text: str) -> np.ndarray:
    return np.sin(np.arange(2400 * len(text)) * 0.1).astype(np.float32) / 3


def stumble(text: str) -> None:
    """Fail before any engine is called."""
    raise LookupError(text)

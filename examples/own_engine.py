# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine of one's own, that no table knows: it says itself what a synthesis is and what its stages are.

    pip install .. numpy
    echo 'Hello there.' | otel-tts run -- python own_engine.py hello.wav

The engine hums a tone for each letter. The `otel_tts` calls cost nothing where otel-tts is not set up: the same script
without `opentelemetry-instrument` makes the same file.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator

import numpy as np

import otel_tts

RATE = 24000


@otel_tts.stage("text_frontend")
def letters(text: str) -> list[str]:
    return [letter for letter in text.lower() if letter.isalpha()]


@otel_tts.stage("acoustic_model")
def pitches(word: list[str]) -> np.ndarray:
    return np.array([110.0 + 10.0 * (ord(letter) % 32) for letter in word])


@otel_tts.stage("vocoder")
def hum(frequencies: np.ndarray) -> np.ndarray:
    steps = np.repeat(frequencies, RATE // 20) / RATE
    return (0.3 * np.sin(2 * np.pi * np.cumsum(steps))).astype(np.float32)


@otel_tts.synthesis("humming-1", engine="humming", text_argument="text", sample_rate=RATE)
def speak(text: str) -> Iterator[np.ndarray]:
    """Yields the sound of each eight letters: a stream, timed from its first step to its last."""
    said = letters(text)
    for at in range(0, len(said), 8):
        yield hum(pitches(said[at : at + 8]))


def main(path: str) -> None:
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for samples in speak(sys.stdin.read().strip()):
            file.writeframesraw((samples * 32767.0).astype("<i2").tobytes())


if __name__ == "__main__":
    main(sys.argv[1])

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Real audio files of every sort, and what may go wrong with them."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import numpy as np
import soundfile

RATE = 24000
SECONDS = 2.0
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(RATE * SECONDS)) / RATE)).astype(np.float32)


def tone(path: Path, rate: int = RATE, seconds: float = SECONDS, channels: int = 1, subtype: str = "PCM_16") -> Path:
    """A WAV file with a tone."""
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    soundfile.write(path, np.stack([samples] * channels, 1), rate, subtype=subtype, format="WAV")
    return path


def encode(source: Path, path: Path, *options: str) -> Path:
    """`source` in the format that the end of the name `path` asks for."""
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-i", str(source), *options, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def cut(path: Path, share: float) -> Path:
    """Leave the first `share` of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def spoil(path: Path, start: float, end: float) -> Path:
    """Fill a part of a file with noise."""
    data = bytearray(path.read_bytes())
    dice = random.Random(7)
    for at in range(int(len(data) * start), int(len(data) * end)):
        data[at] = dice.randrange(256)
    path.write_bytes(data)
    return path

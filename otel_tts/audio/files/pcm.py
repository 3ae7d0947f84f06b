# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Samples of WAV files as they stand there: read without a decoder, so they are the same whichever is installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from otel_tts.audio.files.decoders import BUDGET_S, MAX_DURATION_S
from otel_tts.audio.files.wav import Samples
from otel_tts.audio.samples.meter import AudioMeter

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np


def measure(file: BinaryIO, samples: Samples, meter: AudioMeter, clock: Callable[[], float] = time.monotonic) -> None:
    """Feed the meter, as far as the decoders' budget goes."""
    width = int(samples.dtype[-1]) * samples.channels
    left, deadline = samples.length, clock() + BUDGET_S
    left = min(left, int(MAX_DURATION_S * samples.rate) * width)
    file.seek(samples.start)
    while left > 0 and clock() < deadline:
        data = file.read(min(left, (samples.rate // 2 or 1) * width))
        if not data:
            return
        left -= len(data)
        if samples.dtype[:2] == "<f":
            whole = data[: len(data) - len(data) % width]
            meter.add(np.frombuffer(whole, samples.dtype).reshape(-1, samples.channels), samples.rate)
        else:
            meter.add_pcm(data, int(samples.dtype[-1]), samples.channels, samples.rate)
        time.sleep(0)

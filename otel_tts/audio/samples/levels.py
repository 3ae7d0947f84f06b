# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
# numpy's stubs leave parts of reshape, view and ufunc.reduce unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Sums over samples, taken a quarter of a second at a time so that they do not depend on how the audio was cut."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

from otel_tts.audio.samples.arrays import Level, Numbers
from otel_tts.audio.samples.silence import SilenceTracker
from otel_tts.audio.thresholds import Thresholds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]
else:
    from otel_tts.late_numpy import np

BLOCK_S = 0.25
BLOCK_FRAMES = 6000  # of audio whose rate is not known
BLOCK_VALUES = 1 << 16  # bounds memory (half a megabyte) for high rates and many channels


class Levels:
    """What is known of the samples so far.

    Chunks are copied into one buffer of at most 0.25 s, as float64 of full scale 1.0, and the buffer is folded into the
    sums whenever it is full. Blocks therefore begin at the same samples however the audio was cut into chunks, which
    makes all results independent of it.
    """

    def __init__(self, channels: int, sample_rate: int | None, thresholds: Thresholds) -> None:
        self.values = 0
        """Finite samples, over all channels."""
        self.non_finite = 0
        self.peak = 0.0
        self.squares = 0.0
        self.sums: Samples = np.zeros(channels)
        """One a channel, so that opposite offsets do not cancel."""
        self.clipped = 0
        self.clicks = 0
        self.silence: SilenceTracker | None = None
        """None when the rate, and with it the length of a window, was not known when the audio began."""

        self._clip_level = thresholds.clip_level
        self._click_jump = thresholds.click_jump
        self._silence_power = 10.0 ** (thresholds.silence_dbfs / 10.0)
        self._window, capacity = _block_size(channels, sample_rate, thresholds)
        if sample_rate is not None:
            windows = max(1, round(thresholds.sustained / thresholds.silence_window))
            self.silence = SilenceTracker(sustained=windows * self._window)
        # Column 0 is the last frame of the block before, so that a click between two blocks is seen.
        self._buffer: Samples = np.empty((channels, capacity + 1))
        self._capacity = capacity
        self._filled = 0
        self._joined = False
        """Whether column 0 holds a frame to join."""

    def pour(self, samples: Numbers, level: Level) -> None:
        """Adds an array [channels, frames] of numbers of that level."""
        start, count = 0, samples.shape[1]
        zero, factor = level.zero, 1.0 / level.full_scale
        with np.errstate(all="ignore"):
            while start < count:
                taken = min(self._capacity - self._filled, count - start)
                part = self._buffer[:, 1 + self._filled : 1 + self._filled + taken]
                np.copyto(part, samples[:, start : start + taken], casting="unsafe")
                if zero:
                    part -= zero
                if factor != 1.0:
                    part *= factor
                start += taken
                self._filled += taken
                if self._filled == self._capacity:
                    self._fold()

    def settled(self) -> Levels:
        """A copy that has folded what still waits in the buffer; this one goes on as it was."""
        settled = copy.copy(self)
        settled.silence = copy.copy(self.silence)
        if self._filled:
            settled._buffer = self._buffer[:, : self._filled + 1].copy()
            with np.errstate(all="ignore"):
                settled._fold()
        return settled

    def _fold(self) -> None:
        joined = self._buffer[:, : self._filled + 1]
        block = joined[:, 1:]
        finite = None
        low, high = _extremes(block)
        if not math.isfinite(high - low):
            finite = np.isfinite(block)
            block[~finite] = np.nan
        if not self._joined:
            joined[:, 0] = joined[:, 1]
        self._joined = True
        self._fold_clicks(joined, low, high)
        joined[:, 0] = joined[:, -1]
        if finite is not None:
            self._joined = bool(finite[:, -1].all())
            block[~finite] = 0.0
            low, high = _extremes(block)
        self._fold_levels(block, max(high, -low), finite)
        self._fold_windows(block, finite)
        self._filled = 0

    def _fold_clicks(self, joined: Samples, low: float, high: float) -> None:
        before = joined[:, 0].tolist()
        if max(high, *before) - min(low, *before) <= self._click_jump:  # false with NaN
            return
        steps = joined[:, 1:] - joined[:, :-1]
        np.abs(steps, out=steps)
        jumps = steps > self._click_jump
        if jumps.any():
            higher = np.maximum(np.abs(joined[:, 1:][jumps]), np.abs(joined[:, :-1][jumps]))
            self.clicks += int(np.count_nonzero(higher < self._clip_level))

    def _fold_levels(self, block: Samples, peak: float, finite: Mask | None) -> None:
        lost = 0 if finite is None else int(finite.size - np.count_nonzero(finite))
        self.values += block.size - lost
        self.non_finite += lost
        self.peak = max(self.peak, peak)
        if peak >= self._clip_level:
            self.clipped += int(np.count_nonzero(np.abs(block) >= self._clip_level))

    def _fold_windows(self, block: Samples, finite: Mask | None) -> None:
        frames = block.shape[1]
        size = min(self._window, frames)
        whole = frames - frames % size
        self._fold_windows_of(size, block[:, :whole], None if finite is None else finite[:, :whole])
        if whole < frames:  # the end of the audio
            self._fold_windows_of(frames - whole, block[:, whole:], None if finite is None else finite[:, whole:])

    def _fold_windows_of(self, size: int, block: Samples, finite: Mask | None) -> None:
        windows = block.reshape(len(block), -1, size)
        # No dot products in here: BLAS may wake threads that the service needs.
        squares: Samples = np.add.reduce(windows * windows, axis=2)
        sums: Samples = np.add.reduce(windows, axis=2)
        self.squares += float(np.add.reduce(squares, axis=None))
        self.sums = self.sums + np.add.reduce(sums, axis=1)
        if self.silence is None:
            return
        count: float | Samples = size
        if finite is not None:
            count = np.maximum(1.0, np.add.reduce(finite.reshape(windows.shape), axis=2, dtype=np.float64))
        moving = squares - sums * sums / count  # what is left without the mean
        loud = np.add.reduce(moving, axis=0) >= self._silence_power * size * len(block)
        self.silence.follow(loud.tolist(), size)


def _block_size(channels: int, sample_rate: int | None, thresholds: Thresholds) -> tuple[int, int]:
    """Frames in a window and in a block, which is a whole number of windows."""
    if sample_rate is None:
        return BLOCK_FRAMES, BLOCK_FRAMES
    window = max(1, min(round(sample_rate * thresholds.silence_window), BLOCK_VALUES // channels))
    windows = min(sample_rate * BLOCK_S, BLOCK_VALUES // channels) // window
    return window, max(1, int(windows)) * window


def _extremes(block: Samples) -> tuple[float, float]:
    return float(np.minimum.reduce(block, axis=None)), float(np.maximum.reduce(block, axis=None))

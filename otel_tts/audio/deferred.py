# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Notes audio on the request's path, measures it off it: a chunk costs a copy into a buffer and two list entries."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np

from otel_tts.audio.playout import Playout
from otel_tts.audio.quality import AudioFacts, AudioMeter
from otel_tts.audio.reading import Layout, Numbers, array_of, layout_of, rate_of, shape_of
from otel_tts.audio.thresholds import DEFAULTS, Thresholds

MAX_PENDING: Final = 64 * 1024 * 1024
"""Bytes of copied samples that may wait in the process; beyond it audio is measured on the request's own time."""
_BLOCK: Final = 64 * 1024
"""Bytes of small chunks that are gathered before they count against the bound."""
_MAX_DELIVERIES: Final = 4096
"""Deliveries noted before they are played to the model; keeps a stream of any length in constant memory."""


class _Pending:
    """Bytes that wait, over all recordings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes = 0

    def take(self, size: int) -> bool:
        with self._lock:
            if self.bytes + size > MAX_PENDING:
                return False
            self.bytes += size
            return True

    def give(self, size: int) -> None:
        with self._lock:
            self.bytes = max(0, self.bytes - size)

    def renew(self) -> None:
        """After a fork: the parent's audio is the parent's, and its lock may have been held."""
        self._lock = threading.Lock()
        self.bytes = 0


pending: Final = _Pending()


class Recording:
    """Samples and deliveries of one synthesis, in one thread at a time; facts for whoever asks at the end."""

    __slots__ = (
        "_blocks", "_buffer", "_dtype", "_frames", "_layout", "_meter", "_playout", "_rate", "_size", "_times",
    )  # fmt: skip

    def __init__(
        self, sample_rate: int | None = None, scale: float | None = None, thresholds: Thresholds = DEFAULTS
    ) -> None:
        self._meter = AudioMeter(sample_rate, scale, thresholds)
        self._playout = Playout(thresholds.underrun)
        self._rate: Any = rate_of(sample_rate)
        self._layout: Layout | None = None
        self._dtype: Any = None
        self._buffer = bytearray()
        self._blocks: list[tuple[Numbers, int | None]] = []
        self._size = 0
        self._times: list[int] = []
        self._frames: list[int | None] = []

    def add(self, samples: Any, sample_rate: int | None = None) -> int | None:
        """Take a chunk (see `AudioMeter.add`), copied here: the caller may reuse it. Return its frames if known."""
        if (
            samples.__class__ is np.ndarray
            and samples.dtype is self._dtype
            and samples.ndim == 1
            and (sample_rate is None or sample_rate == self._rate)
        ):
            try:
                self._buffer += samples
            except (BufferError, ValueError):  # not contiguous
                return self._add_slowly(samples, sample_rate)
            if len(self._buffer) > _BLOCK:
                self._close_block()
            return len(samples)
        return self._add_slowly(samples, sample_rate)

    def delivered(self, at: int, frames: int | None) -> None:
        """Note that `frames` frames left at `at` (perf_counter_ns)."""
        self._times.append(at)
        self._frames.append(frames)
        if len(self._times) >= _MAX_DELIVERIES:
            self._play()

    def facts(self) -> AudioFacts:
        """Measure what waits and return what is known."""
        self._measure()
        return self._meter.facts()

    def playout(self) -> Playout:
        """Play what was delivered and return the player."""
        self._play()
        return self._playout

    @property
    def seen(self) -> bool:
        """Whether any samples, even none of them, were taken: tells empty audio from audio that nobody showed."""
        return bool(self._meter.chunks or self._blocks or self._buffer)

    def _add_slowly(self, samples: Any, sample_rate: int | None) -> int | None:
        self._close_block()
        if sample_rate is not None:
            self._rate = sample_rate
        array = array_of(samples)
        shape = shape_of(samples) if array is None else array.shape
        self._layout = layout_of(shape, self._layout) if shape is not None else None
        if array is None or array.dtype.kind not in "iuf":
            self._measure()  # what waits comes first
            self._meter.add(samples, sample_rate)
        else:
            self._keep(np.array(array))
            self._dtype = array.dtype if array.ndim == 1 else None
        return self._layout.frames if self._layout is not None else None

    def _close_block(self) -> None:
        if self._buffer:
            buffer, self._buffer = self._buffer, bytearray()
            self._keep(np.frombuffer(buffer, self._dtype))

    def _keep(self, samples: Numbers) -> None:
        if pending.take(samples.nbytes):
            self._size += samples.nbytes
            self._blocks.append((samples, self._rate))
        else:
            self._measure()
            self._meter.add(samples, self._rate)

    def _measure(self) -> None:
        blocks, self._blocks = self._blocks, []
        size, self._size = self._size, 0
        try:
            for samples, rate in blocks:
                self._meter.add(samples, rate)
        finally:
            pending.give(size)
        if self._buffer:
            self._close_block()
            self._measure()

    def _play(self) -> None:
        times, self._times = self._times, []
        frames, self._frames = self._frames, []
        for at, count in zip(times, frames, strict=True):
            self._playout.chunk(at / 1e9, None if count is None or not self._rate else count / self._rate)

    def __del__(self) -> None:
        pending.give(self._size)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Notes audio on the request's path, measures it off it: a chunk costs a copy and two list entries."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_tts.audio.samples.arrays import ENCODINGS, Layout, Numbers, array_of, layout_of, rate_of, shape_of
from otel_tts.audio.samples.meter import AudioFacts, AudioMeter
from otel_tts.audio.samples.playout import Playout
from otel_tts.audio.samples.segments import SegmentFacts, Segments
from otel_tts.audio.thresholds import DEFAULTS, Thresholds

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

MAX_PENDING: Final = 64 * 1024 * 1024
"""Bytes of copied samples that may wait in the process; beyond it audio is measured on the request's own time."""
_MAX_PIECES: Final = 1024
"""Small chunks that wait as they came before they are joined and count against the bound."""
_MAX_PIECE: Final = 64 * 1024
"""Bytes of a small chunk; a larger one is kept as an array of its own."""


class Take(NamedTuple):
    """How to take a chunk without a call of ours: where it is a one-dimensional `kind` of just this `dtype`,
    ``keep(chunk.tobytes()); note(at)``, at most `room` times. Every other chunk goes the long way.
    """

    kind: type
    dtype: Any
    keep: Callable[[bytes], object]
    note: Callable[[int], object]
    room: int


class _Pending:
    """Bytes that wait, over all recordings."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._reserved = 0
        self._returned: collections.deque[int] = collections.deque()

    @property
    def bytes(self) -> int:
        with self._lock:
            return self._settle()

    def reserve(self, size: int) -> bool:
        with self._lock:
            if self._settle() + size > MAX_PENDING:
                return False
            self._reserved += size
            return True

    def release(self, size: int) -> None:
        """Give back. Without the lock: a collected recording may call this while its own thread holds it."""
        if size:
            self._returned.append(size)

    def renew(self) -> None:
        """After a fork: the parent's audio is the parent's, and its lock may have been held."""
        self._lock = threading.RLock()
        self._returned.clear()
        self._reserved = 0

    def _settle(self) -> int:
        while self._returned:
            self._reserved = max(0, self._reserved - self._returned.popleft())
        return self._reserved


pending: Final = _Pending()


class Sound:
    """Samples and deliveries of one synthesis, in one thread at a time; facts for whoever asks at the end."""

    __slots__ = (
        "_blocks", "_dtype", "_first_rate", "_hidden", "_layout", "_measured", "_pieces", "_playout", "_rate", "_rest",
        "_scale", "_segments", "_size", "_thresholds", "_times", "deliveries", "heard",
    )  # fmt: skip

    def __init__(
        self, sample_rate: int | None = None, scale: float | None = None, thresholds: Thresholds = DEFAULTS
    ) -> None:
        self._measured: AudioMeter | None = None
        self._playout = Playout(thresholds.underrun)
        self._first_rate, self._rate = sample_rate, rate_of(sample_rate)
        self._layout: Layout | None = None
        self._dtype: Any = None
        self._rest = b""
        """The part of a frame at the end of the last bytes."""
        self._pieces: list[bytes] = []
        self._times: list[int] = []
        self._blocks: list[tuple[Numbers | None, int | None]] = []
        """Samples and their rate; None and the number of its characters: a segment of the text ends."""
        self._segments: Segments | None = None
        self._hidden = False
        self._scale, self._thresholds = scale, thresholds
        self._size = 0
        self.deliveries = 0
        self.heard = False
        """Samples came that could be read."""

    def add(self, samples: Any, sample_rate: int | None = None) -> int | None:
        """Take samples (see `AudioMeter.add`), copied here: the caller may reuse them. Return their frames if known."""
        self._join_pieces()
        if sample_rate is not None:
            self._rate = rate_of(sample_rate) or self._rate
        array = array_of(samples)
        shape = shape_of(samples) if array is None else array.shape
        self._layout = layout_of(shape, self._layout) if shape is not None else None
        if array is None or array.dtype.kind not in "iuf":
            self._measure()  # what waits comes first
            self._meter.add(samples, sample_rate)
            self._hidden = True
        else:
            self._keep(np.array(array))
            self._dtype = array.dtype if array.ndim == 1 else None
        return self._layout.frames if self._layout is not None else None

    def add_bytes(
        self, data: bytes | bytearray | memoryview, encoding: str, channels: int, sample_rate: int | None = None
    ) -> int | None:
        """Take samples as bytes (see `arrays.ENCODINGS`), cut anywhere. Return the frames that are whole by now."""
        data, (dtype, size) = self._rest + bytes(data), ENCODINGS[encoding]
        usable = len(data) - len(data) % (size * channels)
        self._rest = data[usable:]
        values = np.frombuffer(data[:usable], dtype)
        return self.add(values if channels == 1 else values.reshape(-1, channels), sample_rate)

    def delivered(self, at: int, frames: int | None) -> None:
        """Note that `frames` frames left at `at` (perf_counter_ns)."""
        self._join_pieces()
        self._play(at, frames)

    @property
    def _meter(self) -> AudioMeter:
        """Made when something is measured, which is off the path as a rule."""
        if self._measured is None:
            self._measured = AudioMeter(self._first_rate, self._scale, self._thresholds)
        return self._measured

    @property
    def progress(self) -> int:
        """A number that grows while chunks leave; for who looks on from another thread."""
        return self.deliveries + len(self._times)

    def end_segment(self, characters: int | None) -> None:
        """What came since the segment before is one segment of the text, of so many `characters` where that is known.

        Where it is told of one it is told of each.
        """
        if self._segments is None:
            self._segments = Segments(self._scale, self._thresholds.silence_dbfs)
            self._hidden = self._hidden or self._meter.chunks > 0  # there was no room to keep what came before
        self._join_pieces()
        self._blocks.append((None, characters))

    def segments(self) -> SegmentFacts | None:
        """Measure what waits and return what is known of the segments; None where nobody told of any, or samples were
        not to be read.
        """
        self._join_pieces()
        self._measure()
        return self._segments.facts() if self._segments is not None and not self._hidden else None

    def taker(self, like: Any) -> Take | None:
        """Return what does the work of `add` and `delivered` for chunks like `like`; None where there is no short way.

        `add` has been called with `like`.
        """
        if like.__class__ is not np.ndarray or like.dtype is not self._dtype or like.nbytes > _MAX_PIECE:
            return None
        room = _MAX_PIECES - len(self._times)
        return Take(np.ndarray, like.dtype, self._pieces.append, self._times.append, room) if room > 0 else None

    def facts(self) -> AudioFacts:
        """Measure what waits and return what is known."""
        self._join_pieces()
        self._measure()
        return self._meter.facts()

    def playout(self) -> Playout:
        """Play what was delivered and return the player."""
        self._join_pieces()
        return self._playout

    def _join_pieces(self) -> None:
        if not self._pieces:
            return
        width = self._dtype.itemsize
        for at, piece in zip(self._times, self._pieces, strict=True):
            self._play(at, len(piece) // width)
        joined = np.frombuffer(b"".join(self._pieces), self._dtype)
        self._pieces.clear()  # emptied in place: a Take holds these lists
        self._times.clear()
        self._keep(joined)

    def _play(self, at: int, frames: int | None) -> None:
        self.deliveries += 1
        self._playout.chunk(at / 1e9, None if frames is None or not self._rate else frames / self._rate)

    def _keep(self, samples: Numbers) -> None:
        self.heard = self.heard or samples.size > 0
        if pending.reserve(samples.nbytes):
            self._size += samples.nbytes
            self._blocks.append((samples, self._rate))
        else:
            self._measure()
            self._add(samples, self._rate)

    def _measure(self) -> None:
        blocks, self._blocks = self._blocks, []
        size, self._size = self._size, 0
        try:
            for samples, number in blocks:
                if samples is not None:
                    self._add(samples, number)
                elif self._segments is not None:
                    self._segments.end(number)
        finally:
            pending.release(size)

    def _add(self, samples: Numbers, rate: int | None) -> None:
        self._meter.add(samples, rate)
        if self._segments is not None:
            self._segments.take(samples, rate)

    def __del__(self) -> None:
        pending.release(getattr(self, "_size", 0))  # absent where __init__ failed

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
# numpy's stubs leave parts of astype and ufunc.reduce unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""What each segment of a text sounds like beside the others: how loud, how fast, and whether there is anything at all.

A segment that is much louder or spoken at another pace than the rest is heard as another voice.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_tts.audio.samples.arrays import Numbers, level_of

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

MAX_SEGMENTS: Final = 64
"""Segments whose own loudness and pace are kept; of later ones only their number."""


class SegmentFacts(NamedTuple):
    """`loudness` in dB of full scale and `pace` in characters a second: one for each spoken segment where it is known.

    `loudness_deviation` is the largest distance from the median in dB, `pace_deviation` the largest ratio to the
    median, whichever way round it is above 1; None for fewer than two.
    """

    spoken: int
    empty: int
    loudness: tuple[float, ...]
    pace: tuple[float, ...]
    loudness_deviation: float | None
    pace_deviation: float | None


class Segments:
    """Takes samples and is told where a segment ends. `scale` is what floats have at full scale."""

    def __init__(self, scale: float | None, silence_dbfs: float) -> None:
        self._scale, self._silence_dbfs = scale, silence_dbfs
        self._power = self._seconds = 0.0
        self._values = 0
        self._spoken = self._empty = 0
        self._loudness: list[float] = []
        self._pace: list[float] = []

    def take(self, samples: Numbers, rate: int | None) -> None:
        """Add samples of the segment that is under way, at `rate` Hz."""
        level = level_of(samples.dtype, self._scale)
        if level is None or not samples.size:
            return
        values = (samples.astype(np.float64) - level.zero) / level.full_scale
        with np.errstate(all="ignore"):
            self._power += float(np.nansum(np.square(values), axis=None))
        self._values += samples.size
        self._seconds += max(samples.shape) / rate if rate else 0.0

    def end(self, characters: int | None) -> None:
        """The segment is over; its text had so many `characters`, None where that is not known."""
        loudness = 10 * math.log10(self._power / self._values) if self._power > 0 and self._values else -math.inf
        if loudness < self._silence_dbfs or not math.isfinite(loudness):
            self._empty += 1
        else:
            self._spoken += 1
            self._keep(loudness, characters)
        self._power = self._seconds = 0.0
        self._values = 0

    def _keep(self, loudness: float, characters: int | None) -> None:
        if self._spoken > MAX_SEGMENTS:
            return
        self._loudness.append(round(loudness, 1))
        if characters and self._seconds:
            self._pace.append(round(characters / self._seconds, 2))

    def facts(self) -> SegmentFacts:
        """Return what is known of the segments that are over."""
        return SegmentFacts(
            self._spoken, self._empty, tuple(self._loudness), tuple(self._pace),
            _furthest([abs(each - statistics.median(self._loudness)) for each in self._loudness]),
            _furthest([_ratio(each, statistics.median(self._pace)) for each in self._pace]),
        )  # fmt: skip


def _ratio(one: float, other: float) -> float:
    return max(one / other, other / one)


def _furthest(distances: Sequence[float]) -> float | None:
    return max(distances) if len(distances) > 1 else None

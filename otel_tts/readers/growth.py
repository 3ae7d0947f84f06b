# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""By how much counters grew in each of some periods, exactly: what began anew in between is added up, not guessed.

A `Question` asks what a board asks; here nothing is extrapolated and nothing is counted twice, so that a bill may rest
on it. Both kinds of stores feed the same `Tally`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_tts.names import Metric
from otel_tts.readers.model import Gap

HOUR_NS: Final = 3600 * 10**9

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Counted:
    """A counter, or of a histogram the `count` or `sum` of its measurements, or how many were at or below an edge.

    `by` are the labels that are kept apart; those in `labels` have to be equal, those in `but` must not be.
    """

    metric: Metric
    by: tuple[str, ...] = ()
    part: str | float = ""
    labels: Labels = ()
    but: Labels = ()

    def __post_init__(self) -> None:
        if isinstance(self.part, float) and self.part not in self.metric.edges:
            raise ValueError(f"{self.metric.name} has no edge at {self.part:g}")


@dataclass(frozen=True)
class Presence:
    """In which hours a metric was said at all, by labels."""

    metric: Metric
    by: tuple[str, ...] = ()
    labels: Labels = ()


@dataclass(frozen=True)
class Growth:
    """By how much one combination of labels grew in each period; None where nothing was said in it."""

    labels: Mapping[str, str]
    values: tuple[float | None, ...]

    @property
    def total(self) -> float:
        """What was counted in all periods."""
        return math.fsum(value for value in self.values if value is not None)


@dataclass(frozen=True)
class Grown:
    """The answer to one `Counted`.

    `left_out` was counted before the first record of processes that began before it: nobody can say when. `restarts`
    are counters that began anew, whose earlier counts are in.
    """

    items: tuple[Growth, ...] = ()
    left_out: float = 0.0
    restarts: int = 0

    @property
    def total(self) -> float:
        """What was counted in all periods, whatever its labels."""
        return math.fsum(one.total for one in self.items)


@dataclass(frozen=True)
class Counts:
    """Answers in the order asked. `seen` has numbers of hours, the one after the first time is 0."""

    grown: tuple[Grown, ...]
    seen: tuple[Mapping[Labels, frozenset[int]], ...]
    gaps: tuple[Gap, ...] = ()


class Run:
    """What one process counted in one series since it began."""

    __slots__ = ("_base", "_last", "_last_time", "first", "first_time", "restarts", "tops")

    def __init__(self) -> None:
        self.first_time, self.first, self.restarts = math.inf, 0.0, 0
        self.tops: dict[int, float] = {}
        self._base = self._last = 0.0
        self._last_time = -1

    def add(self, period: int, time: int, value: float) -> None:
        """Take a point. Late ones are fine, as long as the series did not begin anew."""
        if time >= self._last_time:
            if value < self._last:
                self._base += self._last
                self.restarts += 1
            self._last, self._last_time = value, time
        elif self.restarts:
            return
        total = self._base + value
        self.tops[period] = max(total, self.tops.get(period, 0.0))
        if time < self.first_time:
            self.first_time, self.first = time, total

    def add_delta(self, period: int, value: float) -> None:
        """Take a point that counts since the one before."""
        self.tops[period] = self.tops.get(period, 0.0) + value

    def growth(self, before: float) -> dict[int, float]:
        """By how much it grew in each period in which it was heard; `before` is what it had counted until then."""
        grown: dict[int, float] = {}
        for period in sorted(self.tops):
            grown[period] = max(0.0, self.tops[period] - before)
            before = max(before, self.tops[period])
        return grown


@dataclass
class _Kept:
    labels: Labels
    start: int
    delta: bool
    run: Run = field(default_factory=Run)


class Tally:
    """Adds up the points of one `Counted` by period: the time from one of `times` (not in it) to the next (in it)."""

    def __init__(self, times: Sequence[int]) -> None:
        self._times = times
        self._kept: dict[Hashable, _Kept] = {}
        self._starts: dict[Hashable, set[int]] = defaultdict(set)

    def add(
        self, whose: Hashable, labels: Labels, time: int, value: float, start: int = 0, delta: bool = False
    ) -> None:
        """Take a point of the series `whose`; `start` is since when it counts, 0 where it does not say."""
        period = bisect_left(self._times, time) - 1
        if period >= len(self._times) - 1 or not 0 <= value < math.inf:
            return
        key = (whose, -1 if delta else start)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(labels, start, delta)
            self._starts[whose].add(-1 if delta else start)
        if delta:
            kept.run.add_delta(period, value)
        else:
            kept.run.add(period, time, value)

    def answer(self, began: int) -> Grown:
        """What was counted; `began` is the store's first moment, to tell new series from those cut off there."""
        total: dict[Labels, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        left_out, restarts = 0.0, sum(len(starts) - 1 for starts in self._starts.values())
        for kept in self._kept.values():
            run, before = kept.run, 0.0
            if not kept.delta and -1 not in run.tops and not self._is_new(kept, began):
                before = run.first
                left_out += before
            restarts += run.restarts
            for period, value in (run.tops if kept.delta else run.growth(before)).items():
                if period >= 0:
                    total[kept.labels][period] += value
        periods = range(len(self._times) - 1)
        items = (Growth(dict(labels), tuple(map(grown.get, periods))) for labels, grown in total.items())
        return Grown(tuple(items), left_out, restarts)

    def _is_new(self, kept: _Kept, began: int) -> bool:
        """Whether all that a series says was counted within the periods."""
        if kept.start:
            return kept.start >= self._times[0]
        return kept.run.first_time > began + HOUR_NS


def hour_of(time: int, times: Sequence[int]) -> int:
    """The number of the hour that a moment lies in, counted from the first time."""
    return (time - times[0] - 1) // HOUR_NS

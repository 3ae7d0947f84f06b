# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the slow, or the failed, requests of a period have in common that the others have not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from otel_tts.causes.answer import BY_PROPERTY
from otel_tts.causes.association import LEVEL, Counts, passing
from otel_tts.causes.columns import Value
from otel_tts.causes.period import Flags, Period

ENOUGH: Final = 20
"""Slow or failed requests below which nothing is named: a cause of theirs cannot be told from chance."""

SLOW_SHARE: Final = 0.05
"""Of the requests, those that took most in proportion to what they need: the slow ones."""

_RAREST: Final = 3
"""Requests that have a value; below it the value is not looked at."""

_MOST_NAMED: Final = 50

Which = Literal["slow", "failed"]


@dataclass(frozen=True)
class Named:
    """A property that the chosen requests share: `value` of `name`, None where it is their lacking it.

    `also` are other properties that just the same requests have: they cannot be told apart. `share` of the chosen
    have it, and `share_of_others`. `probability` is that of chance alone. `seconds` is how much longer than they
    need the requests with it take, at the median; for failed ones it is None.
    """

    name: str
    value: Value | None
    counts: Counts
    seconds: float | None = None
    also: tuple[tuple[str, Value | None], ...] = ()

    @property
    def probability(self) -> float:
        """That chance alone shares it out so."""
        return self.counts.probability

    @property
    def share(self) -> float:
        """Of the chosen, how many have it."""
        return self.counts.both / self.counts.chosen

    @property
    def share_of_others(self) -> float:
        """Of the others, how many have it."""
        others = self.counts.total - self.counts.chosen
        return (self.counts.having - self.counts.both) / others if others else 0.0


@dataclass(frozen=True)
class Shared:
    """What was looked for: `chosen` of `total` requests that can be compared. `named` has the closest tie first."""

    which: Which
    chosen: int
    total: int
    looked_at: int
    named: tuple[Named, ...] = ()

    @property
    def too_few(self) -> bool:
        """Whether there are too few to tell."""
        return self.chosen < ENOUGH


def slow(period: Period) -> Shared:
    """What the slow requests share: those furthest above what they need, a twentieth of all."""
    chosen, known = slow_ones(period)
    if not known.any():
        return Shared("slow", 0, 0, 0)
    return _shared("slow", period, chosen, known, period.beyond())


def slow_ones(period: Period) -> tuple[Flags, Flags]:
    """Which requests are the slow ones, and which can be told at all."""
    apart = period.slowness()
    known = ~np.isnan(apart)
    chosen = np.zeros(len(apart), dtype=np.bool_)
    if count := round(SLOW_SHARE * int(known.sum())):
        order = np.argsort(np.where(known, apart, -np.inf), kind="stable")
        chosen[order[-count:]] = True
    return chosen, known


def failed(period: Period) -> Shared:
    """What the failed requests share."""
    return _shared("failed", period, period.failed, np.ones(len(period), dtype=np.bool_), None)


def _shared(which: Which, period: Period, chosen: Flags, known: Flags, beyond: NDArray[np.float64] | None) -> Shared:
    count, total = int(chosen.sum()), int(known.sum())
    if count < ENOUGH:
        return Shared(which, count, total, 0)
    candidates: list[tuple[str, Value | None, int, Counts]] = []
    for name, column in period.columns.items():
        if column.is_id:
            continue
        codes = column.of_all(len(period))
        having = np.bincount(codes[known])
        both = np.bincount(codes[chosen], minlength=len(having))
        candidates += [
            (name, value, code, Counts(int(both[code]), count, int(having[code]), total))
            for code, value in column.values()
            if code < len(having) and _RAREST <= having[code] < total
        ]
    passed = passing([counts.probability for *_, counts in candidates])
    named = [one for one, passes in zip(candidates, passed, strict=True) if passes]
    named.sort(key=lambda one: (-one[3].phi, one[0] not in BY_PROPERTY, one[1] is None))  # what has advice goes first
    # What has a law of its own is slow by that law: that it has more of the slow ones says nothing.
    kinds = {np.packbits(rows & known).tobytes() for rows in period.kinds()} if which == "slow" else set[bytes]()
    groups: dict[bytes, _Group] = {}
    for name, value, code, counts in named[:_MOST_NAMED]:
        rows = (period.columns[name].of_all(len(period)) == code) & known
        same = np.packbits(rows).tobytes()
        if same not in kinds:
            groups.setdefault(same, _Group(rows, counts)).names.append((name, value))
    return Shared(
        which, count, total, len(candidates), tuple(one.named(beyond) for one in _wider_first(groups, chosen))
    )


@dataclass
class _Group:
    """The requests that have a value, and the values that just they have."""

    rows: Flags
    counts: Counts
    names: list[tuple[str, Value | None]] = field(default_factory=list[tuple[str, "Value | None"]])

    def named(self, beyond: NDArray[np.float64] | None) -> Named:
        (name, value), *also = self.names
        median = None if beyond is None else float(np.median(beyond[self.rows]))
        return Named(name, value, self.counts, median, tuple(also))


def _wider_first(groups: dict[bytes, _Group], chosen: Flags) -> list[_Group]:
    """By phi; but a whole replica goes before one of its devices, where the rest of the replica is slow too."""
    ordered: list[_Group] = []
    for group in groups.values():
        at = next((place for place, one in enumerate(ordered) if _is_of_all(group, one, chosen)), len(ordered))
        ordered.insert(at, group)
    return ordered


def _is_of_all(wide: _Group, narrow: _Group, chosen: Flags) -> bool:
    """Whether what `narrow` suffers from is that of `wide`, which holds all of it and more."""
    if (narrow.rows & ~wide.rows).any():
        return False
    rest, outside = wide.rows & ~narrow.rows, int(wide.counts.total - wide.counts.having)
    both, beside = int((rest & chosen).sum()), wide.counts.chosen - wide.counts.both
    having = int(rest.sum())
    return Counts(both, both + beside, having, having + outside).probability < LEVEL

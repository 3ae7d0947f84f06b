# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer leaves out: the first few of many are kept, and what is older than a store keeps is said."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from otel_tts.readers.model import Answer, Gap, Synthesis

T = TypeVar("T")


BACK_DAYS: Final = 90
"""How far a store is looked through that takes short periods only, where nobody says how far."""


class Best(Generic[T]):
    """Keeps the `limit` items with the highest `key`."""

    def __init__(self, limit: int, key: Callable[[T], float]) -> None:
        self._limit, self._key = limit, key
        self._kept: list[tuple[float, int, T]] = []
        self._count = itertools.count()
        self.more = False

    def take(self, item: T) -> None:
        """Keep `item` where it is one of the best so far."""
        entry = (self._key(item), -next(self._count), item)
        if len(self._kept) < self._limit:
            heapq.heappush(self._kept, entry)
        else:
            self.more = True
            heapq.heappushpop(self._kept, entry)

    def items(self) -> tuple[T, ...]:
        """The best, the highest first."""
        return tuple(item for _, _, item in sorted(self._kept, reverse=True))

    def answer(self, gaps: tuple[Gap, ...]) -> Answer[T]:
        """The best, with a gap where there were more."""
        return Answer(self.items(), (*gaps, over(self._limit)) if self.more else gaps)


def count_asked_for(found: Iterable[Synthesis]) -> int:
    """How many of them are no canaries."""
    return sum(not one.is_canary for one in found)


def closest(found: Iterable[Synthesis], at: int, most: int) -> list[Synthesis]:
    """The `most` that began closest to `at` (Unix nanoseconds), the closest first, and the canaries among them."""
    kept: list[Synthesis] = []
    for one in sorted(found, key=lambda one: abs(one.start - at)):
        if not one.is_canary:
            most -= 1
            if most < 0:
                break
        kept.append(one)
    return kept


def over(limit: int) -> Gap:
    """What is said where more was found than was asked for."""
    return Gap("limit", f"more was found than the {limit} that were asked for")


NOTHING_ASKED: Gap = Gap("limit", "limit is 0, so nothing was looked for")


def forgotten(store: object, since: int | None, keeps_seconds: float | None) -> tuple[Gap, ...]:
    """A gap where `since` lies further back than the store keeps; nothing where either is not known."""
    if since is None or keeps_seconds is None or since >= time.time_ns() - round(keeps_seconds * 1e9):
        return ()
    return (Gap("retention", f"{store} keeps {_span(keeps_seconds)}; what was before is gone"),)


def bounded(
    store: object, since: int | None, keeps_seconds: float | None, longest: int
) -> tuple[int | None, tuple[Gap, ...]]:
    """From when on a store is asked that takes periods of `longest` nanoseconds, and what is left out by it.

    A store that takes any period is asked for all of it. Others are not asked for what they no longer have.
    """
    gaps = forgotten(store, since, keeps_seconds)
    if longest >= 2**63:  # it may have old spans that came late: Jaeger counts from when they came
        return since, gaps
    if keeps_seconds is not None:  # and a day more: stores delete whole blocks, and late
        oldest = max(0, time.time_ns() - round((keeps_seconds + 86400) * 1e9))
        return max(since or 0, oldest), gaps
    if since is not None:
        return since, ()
    back = Gap("limit", f"{store} was looked through {BACK_DAYS} days back; give a time to look further")
    return time.time_ns() - BACK_DAYS * 86400 * 10**9, (back,)


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.3g} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.3g} hours"

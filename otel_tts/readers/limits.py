# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer leaves out: the first few of many are kept, and what is older than a store keeps is said."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from otel_tts.readers.model import Answer, Gap

T = TypeVar("T")


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


def over(limit: int) -> Gap:
    """What is said where more was found than was asked for."""
    return Gap("limit", f"more was found than the {limit} that were asked for")


NOTHING_ASKED: Gap = Gap("limit", "limit is 0, so nothing was looked for")


def forgotten(store: object, since: int | None, keeps_seconds: float | None) -> tuple[Gap, ...]:
    """A gap where `since` lies further back than the store keeps; nothing where either is not known."""
    if since is None or keeps_seconds is None or since >= time.time_ns() - round(keeps_seconds * 1e9):
        return ()
    return (Gap("retention", f"{store} keeps {_span(keeps_seconds)}; what was before is gone"),)


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.3g} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.3g} hours"

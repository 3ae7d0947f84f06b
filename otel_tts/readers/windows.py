# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Walks through a period, from its end backwards, in steps that each fit into one answer of a store.

A store answers with so many items at most, in an order of its own. So a step is asked again in halves until its answer
is not full; and steps grow while answers are short. Each item belongs to the step in which it began, and so comes once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from otel_tts.readers.http import StoreError, TooLarge
from otel_tts.readers.model import Gap, OnGap

T = TypeVar("T")

_SECOND_NS: Final = 10**9
HOUR_NS: Final = 3600 * _SECOND_NS
_DAY_NS: Final = 86400 * _SECOND_NS
_AHEAD_NS: Final = 7 * _DAY_NS
"""How far ahead of ours clocks may be; further where it is asked for, up to a year."""

_OVERFULL: Final = 5
"""Shortest steps that may be too full, one by one, before a walk is given up."""

Ask = Callable[[int, int], tuple[list[T], bool]]
"""What began from one time to before another, and whether there may be more of it than the store says at once."""


def walk(
    ask: Ask[T], since: int | None, until: int | None, on_gap: OnGap, longest: int = 2**63, smallest: int = 1,
    first: int = HOUR_NS,
) -> Iterator[list[T]]:  # fmt: skip
    """Yield what was found in each step, the newest step first.

    `longest` and `smallest` are the longest period that the store takes in one question and the shortest that it can
    tell apart, `first` the length of the first step, in nanoseconds. A store that fails ends the walk with a gap.
    """
    now = time.time_ns()
    begin = since or 0
    end = now + _AHEAD_NS if until is None else min(until, now + 366 * _DAY_NS)
    if end > now:  # most often there is nothing yet: one step
        yield from _steps(ask, max(begin, now), end, end - now, on_gap, longest, smallest)
    yield from _steps(ask, begin, min(end, now), first, on_gap, longest, smallest)


def _steps(
    ask: Ask[T], since: int, end: int, step: int, on_gap: OnGap, longest: int, smallest: int
) -> Iterator[list[T]]:
    overfull = 0
    while end > since:
        step = min(step, longest)
        begin = max(since, end - step)
        try:
            found, full = ask(begin, end)
        except TooLarge:
            found, full = [], True
        except StoreError as error:
            on_gap(error.gap)
            return
        if full and end - begin > smallest:
            step = max((end - begin) // 2, smallest)
            continue
        if full:
            on_gap(Gap("limit", f"more began within {end - begin} ns than the store says at once"))
            overfull += 1
        if overfull > _OVERFULL:  # it has no such moments, it is out of its mind
            on_gap(Gap("limit", "the store has too much to say at too many times: the search was given up"))
            return
        yield found
        end, step = begin, step * 2

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A period is walked through in steps that fit into one answer: all is found, each once, and every walk ends."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from otel_tts.readers.http import StoreError, TooLarge
from otel_tts.readers.model import Gap
from otel_tts.readers.windows import walk

S = 10**9
DAY = 86400 * S


class Store:
    """Says at most `page` items at once, any of them, of a period of at most `longest`."""

    def __init__(self, times: list[int], page: int, longest: int = 2**63) -> None:
        self.times, self.page, self.longest = times, page, longest
        self.asked = 0

    def __call__(self, begin: int, end: int) -> tuple[list[int], bool]:
        assert 0 < end - begin <= self.longest
        self.asked += 1
        found = [at for at in self.times if begin <= at < end]
        return random.sample(found, min(len(found), self.page)), len(found) >= self.page


def walked(store: Store, since: int | None, until: int | None, smallest: int = 1) -> tuple[list[list[int]], list[Gap]]:
    gaps: list[Gap] = []
    return list(walk(store, since, until, gaps.append, store.longest, smallest)), gaps


@pytest.mark.parametrize("page", [2, 7, 1000])
def test_each_is_found_once_the_newest_first(page: int) -> None:
    now = time.time_ns()
    times = [now - random.randrange(40 * DAY) for _ in range(500)]
    steps, gaps = walked(Store(times, page), now - 30 * DAY, now)
    found = [at for step in steps for at in sorted(step, reverse=True)]
    assert found == sorted((at for at in times if now - 30 * DAY <= at < now), reverse=True) and gaps == []


def test_without_bounds_all_of_time_is_asked_in_a_few_questions() -> None:
    now = time.time_ns()
    times = [0, now - 5 * 365 * DAY, now - 60 * S, now + 3 * DAY]
    store = Store(times, 100)
    steps, gaps = walked(store, None, None)
    assert sorted(at for step in steps for at in step) == times and gaps == []
    assert store.asked < 30


def test_a_longest_period_is_kept_to() -> None:
    now = time.time_ns()
    times = [now - 80 * DAY, now]
    steps, gaps = walked(Store(times, 100, 7 * DAY), now - 90 * DAY, now + 1)
    assert sorted(at for step in steps for at in step) == times and gaps == []


def test_what_is_too_much_for_any_step_is_told() -> None:
    now = time.time_ns()
    times = [now - DAY] * 50 + [now - 2 * DAY, now - 100]
    steps, gaps = walked(Store(times, 20), now - 3 * DAY, now)
    counts = Counter(at for step in steps for at in step)
    assert counts == {now - DAY: 20, now - 2 * DAY: 1, now - 100: 1}
    assert [str(gap) for gap in gaps] == ["more began within 1 ns than the store says at once"]


@pytest.mark.parametrize("smallest", [1, 1000, S])
def test_a_store_that_always_has_more_is_given_up(smallest: int) -> None:
    now = time.time_ns()
    asked: list[int] = []

    def endless(begin: int, end: int) -> tuple[list[int], bool]:
        asked.append(begin)
        raise TooLarge("it")

    gaps: list[Gap] = []
    list(walk(endless, None, None, gaps.append, smallest=smallest))
    assert len(asked) < 500 and {gap.why for gap in gaps} == {"limit"} and "given up" in gaps[-1].text
    assert now


def test_a_store_that_fails_ends_it() -> None:
    now = time.time_ns()
    store = Store([now - 10 * S, now - DAY], 100)

    def failing(begin: int, end: int) -> tuple[list[int], bool]:
        if end < now - DAY // 2:
            raise StoreError("down", "it is away")
        return store(begin, end)

    gaps: list[Gap] = []
    found = [at for step in walk(failing, None, None, gaps.append) for at in step]
    assert found == [now - 10 * S] and gaps == [Gap("down", "it is away")]


@pytest.mark.parametrize(("since", "until"), [(5, 5), (6, 5), (2**62, 5), (None, 0)])
def test_an_empty_period_asks_nothing(since: int | None, until: int) -> None:
    store = Store([], 1)
    assert walked(store, since, until) == ([], []) and store.asked == 0

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What counters grew by is what was counted, in whatever order points come, and however often processes begin anew."""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_tts.readers.growth import Growth, Tally, hour_of

HOUR = 3600 * 10**9
TIMES = (100 * HOUR, 124 * HOUR, 148 * HOUR, 171 * HOUR)  # a day of 23 hours

runs = st.lists(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 50)), min_size=1, max_size=12), min_size=1, max_size=4
)
"""Runs of a process: in how many hours it said how many more."""


def points(history: list[list[tuple[int, int]]]) -> tuple[list[tuple[int, int, float]], Counter[int]]:
    """The points of runs one after the other (start, time, value), and what was truly counted in each period."""
    at, found, true = TIMES[0], [], Counter[int]()
    for run in history:
        start, at = at + HOUR, at + HOUR
        for (hours, more), total in zip(run, accumulate(more for _, more in run), strict=True):
            at += hours * HOUR
            found.append((start, at, float(total)))
            period = next((place for place, end in enumerate(TIMES[1:]) if at <= end), None)
            if period is not None:
                true[period] += more
    return found, true


@given(runs, st.randoms(use_true_random=False))
def test_points_that_say_since_when_they_count_come_in_any_order(history: list[list[tuple[int, int]]], chance) -> None:  # type: ignore[no-untyped-def]
    made, true = points(history)
    made = [*made, *made[::3]]  # some come twice
    chance.shuffle(made)
    tally = Tally(TIMES)
    for start, at, value in made:
        tally.add("process", (), at, value, start)
    found = tally.answer(TIMES[0])
    grown = [sum(one.values[period] or 0.0 for one in found.items) for period in range(3)]
    assert grown == [true[period] for period in range(3)] and found.left_out == 0.0


@given(runs)
def test_in_order_of_time_a_fall_is_a_restart(history: list[list[tuple[int, int]]]) -> None:
    made, true = points(history)
    tally = Tally(TIMES)
    for _, at, value in made:
        tally.add("process", (), at, value)
    totals = [float(sum(more for _, more in run)) for run in history]
    # A run that is past the one before it at once looks as if that one had gone on.
    hidden = sum(total for total, run in zip(totals, history[1:], strict=False) if run[0][1] >= total)
    found = tally.answer(0)
    if all(at <= TIMES[-1] for _, at, _ in made):
        assert found.total == pytest.approx(sum(true.values()) - hidden)


def test_what_counts_since_the_point_before_is_added_up() -> None:
    tally = Tally(TIMES)
    for at, value in ((101, 3.0), (102, 2.0), (130, 4.0), (99, 50.0), (172, 50.0)):
        tally.add("process", (), at * HOUR, value, delta=True)
    (growth,) = tally.answer(TIMES[0]).items
    assert growth == Growth({}, (5.0, 4.0, None))


def test_what_is_no_count_is_left_aside() -> None:
    tally = Tally(TIMES)
    for value in (math.nan, math.inf, -1.0):
        tally.add("process", (), TIMES[0] + 1, value, TIMES[0])
    assert tally.answer(TIMES[0]).items == ()


def test_what_stood_there_when_records_began_is_left_out_and_told() -> None:
    old, young = Tally(TIMES), Tally(TIMES)
    for at, value in ((101, 700.0), (130, 705.0)):
        old.add("process", (), at * HOUR, value)
        young.add("process", (), at * HOUR, value, TIMES[0])
    assert (old.answer(101 * HOUR).total, old.answer(101 * HOUR).left_out) == (5.0, 700.0)
    assert (old.answer(90 * HOUR).total, old.answer(90 * HOUR).left_out) == (705.0, 0.0)
    assert (young.answer(101 * HOUR).total, young.answer(101 * HOUR).left_out) == (705.0, 0.0)


def test_a_midnight_belongs_to_the_day_before_it() -> None:
    tally = Tally(TIMES)
    for at, value in ((TIMES[0], 1.0), (TIMES[1], 4.0), (TIMES[1] + 1, 9.0), (TIMES[-1], 10.0), (TIMES[-1] + 1, 99.0)):
        tally.add("process", (), at, value, 1)
    (growth,) = tally.answer(1).items
    assert growth.values == (3.0, 5.0, 1.0)
    assert [hour_of(at, TIMES) for at in (TIMES[0], TIMES[0] + 1, TIMES[0] + HOUR, TIMES[0] + HOUR + 1)] == [
        -1,
        0,
        0,
        1,
    ]

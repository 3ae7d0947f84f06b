# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from collections import Counter

import pytest

from otel_tts.device.power import ledger as energy
from otel_tts.device.power.ledger import (
    TIMESHARE,
    TIMESHARE_HOST,
    CounterWindows,
    Ledger,
    apportion,
    fair_shares,
    union,
)
from otel_tts.device.power.nvml import Nvml
from tests.unit.support.nvml_stub import GPU0, Stub, look

S = 1_000_000_000
A, B = ("piper", "m", TIMESHARE), ("kokoro", "m", TIMESHARE)


def test_apportioned_parts_have_the_whole_as_their_sum() -> None:
    rnd = random.Random(3)
    for _ in range(2000):
        total = rnd.randrange(10**9)
        weights = [rnd.choice([0.0, rnd.random(), rnd.random() * 1e12]) for _ in range(rnd.randrange(1, 40))]
        if not sum(weights):
            continue
        parts = apportion(total, weights)
        assert sum(parts) == total
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - total * weight / sum(weights)) <= 1.001 + total * 1e-12


def test_union() -> None:
    assert union([(5, 7), (1, 3), (2, 4), (4, 4), (6, 6), (9, 8)]) == [(1, 4), (5, 7)]


def brute_shares(intervals, start: int, end: int) -> tuple[dict[int, float], int]:
    shares: Counter[int] = Counter()
    busy = 0
    for t in range(start, end):
        live = {request for a, b, request, _ in intervals if a <= t < b}
        busy += bool(live)
        for request in live:
            shares[request] += 1 / len(live)
    return shares, busy


def test_fair_shares_are_what_counting_each_moment_gives() -> None:
    rnd = random.Random(11)
    for _ in range(300):
        intervals = []
        for _ in range(rnd.randrange(8)):
            start = rnd.randrange(60)
            intervals.append((start, start + rnd.randrange(30), rnd.randrange(4), rnd.choice([A, (*A[:2], "x")])))
        start, end = sorted((rnd.randrange(80), rnd.randrange(80)))
        shares, busy = fair_shares(intervals, start, end)
        expected, expected_busy = brute_shares(intervals, start, end)
        by_request: Counter[int] = Counter()
        for (request, _), share in shares.items():
            by_request[request] += share
        assert busy == expected_busy
        for request in range(4):
            assert by_request[request] == pytest.approx(expected[request], abs=1e-9)


def test_a_window_begins_and_ends_at_a_step_of_the_counter() -> None:
    windows = CounterWindows(least=100)
    readings = [(0, 5), (10, 5), (20, 9), (60, 9), (90, 12), (119, 12), (121, 15), (250, 30)]
    assert [w for at, mj in readings if (w := windows.add(at, mj))] == [(20, 121, 6), (121, 250, 15)]


def test_a_reloaded_driver_begins_anew() -> None:
    windows = CounterWindows(least=100)
    readings = [(0, 500), (10, 510), (200, 3), (300, 7), (500, 20)]
    assert [w for at, mj in readings if (w := windows.add(at, mj))] == [(200, 300, 4), (300, 500, 13)]


def test_a_thousand_requests_conserve_energy_to_the_joule(stub: Stub, nvml: Nvml) -> None:
    """Up to five at once, two engines, through the real package's counter with its steps of 100 ms."""
    rnd = random.Random(5)
    plan = []
    for number in range(1000):
        start = rnd.uniform(3, 120)
        plan.append((start, start + rnd.uniform(0.02, 0.4), number, A if number % 3 else B))
    (gpu, *_) = nvml.gpus()
    ledger, at, last, waiting = Ledger(), 0.0, 0, sorted(plan, key=lambda p: p[1])
    read = None
    nvml._last_energy.clear()
    while at < 125:
        live = sum(start <= at < end for start, end, *_ in plan)
        stub.set(power_mw=70_000 + 400_000 * bool(live))
        stub.advance(50)
        at += 0.05
        nvml._last_energy.clear()  # virtual time runs faster than the clock by which leaps are judged
        last = nvml.look(gpu).energy
        ledger.read_counter(GPU0, int(at * S), last)
        read = read if read is not None or not last else last
        while waiting and waiting[0][1] <= at:
            start, end, number, owner = waiting.pop(0)
            ledger.add(GPU0, number, owner, [(int(start * S), int(end * S))])
        begun = [start for start, end, *_ in plan if start <= at < end]
        ledger.settle(int(min([at, *begun]) * S))
    ledger.settle(int(at * S))
    given = sum(ledger.energy.values()) + sum(ledger.idle.values())
    closed = last - read - (last - ledger._devices[GPU0].counter._start[1])
    assert given == closed, "to the millijoule"
    assert given > 10_000_000
    assert ledger.energy[A] / ledger.energy[B] == pytest.approx(2, rel=0.15)
    busy = sum(end - start for start, end in union((int(s * S), int(e * S)) for s, e, *_ in plan))
    assert sum(ledger.time.values()) == pytest.approx(busy, rel=1e-6), "fair shares add up to the time, not more"
    assert sum(ledger.energy.values()) / 1e3 == pytest.approx(400 * busy / S, rel=0.05), "without the idle draw"


def test_without_anybody_active_all_of_it_is_idle() -> None:
    ledger = Ledger()
    for second in range(10):
        ledger.read_counter(GPU0, second * S, second * 70_000)
    ledger.settle(10 * S)
    assert ledger.energy == {} and ledger.idle == {GPU0: 560_000}, "from the first step on"


def test_before_the_idle_draw_is_known_its_share_is_the_time_without_requests() -> None:
    ledger = Ledger()
    ledger.add(GPU0, 1, A, [(second * S, second * S + S // 4) for second in range(4)])
    for second in range(4):
        ledger.read_counter(GPU0, second * S, second * 100_000)
    ledger.settle(4 * S)
    assert ledger.energy == {A: 50_000} and ledger.idle == {GPU0: 150_000}


def test_a_request_that_lasts_is_waited_for() -> None:
    ledger = Ledger()
    for second in range(6):
        ledger.read_counter(GPU0, second * S, second * 100_000)
    ledger.settle(1 * S)  # a request that began then is still open
    assert not ledger.energy and not ledger.idle
    ledger.add(GPU0, 1, A, [(1 * S, 5 * S)])
    ledger.settle(6 * S)
    assert ledger.energy == {A: 400_000} and ledger.time == {A: 4.0 * S}


def test_missing_readings_open_a_new_window() -> None:
    ledger = Ledger()
    for second, millijoules in ((0, 0), (1, 100), (2, 200)):
        ledger.read_counter(GPU0, second * S, millijoules)
    ledger.interrupt(GPU0)
    for second, millijoules in ((50, 90_000), (51, 90_100), (52, 90_200)):
        ledger.read_counter(GPU0, second * S, millijoules)
    ledger.settle(60 * S)
    assert ledger.idle == {GPU0: 200}, "two windows of a second; what lay between belongs to nobody"


def test_the_books_forget_what_is_settled_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_MOST_KEPT", 50)
    monkeypatch.setattr(energy, "_MOST_KEYS", 5)
    ledger = Ledger()
    for number in range(400):
        ledger.read_counter(GPU0, number * S, number * 1000)
        ledger.add(GPU0, number, (f"engine-{number}", None, TIMESHARE), [(number * S, number * S + S // 2)])
        if number < 300:
            ledger.settle(number * S)
    ledger.settle(400 * S)
    assert len(ledger.time) <= 6 and (None, None, TIMESHARE) in ledger.time
    assert ledger.lost > 0
    assert sum(ledger.energy.values()) + sum(ledger.idle.values()) == 398_000
    books = ledger._devices[GPU0]
    assert len(books.intervals) <= 2 and not books.windows


def test_the_share_of_one_request_counts_those_beside_it() -> None:
    ledger = Ledger()
    assert ledger.share_of(GPU0, [(0, 100)], []) == 100
    assert ledger.share_of(GPU0, [(0, 100), (50, 150)], []) == 150, "nested and parallel stages once"
    assert ledger.share_of(GPU0, [(0, 100)], [(50, 500)]) == 75
    ledger.add(GPU0, 7, A, [(0, 20)])
    assert ledger.share_of(GPU0, [(0, 100)], [(50, 500)]) == 65
    assert ledger.share_of(GPU0, [], []) == 0


def test_a_request_timed_on_both_clocks_at_once_counts_once() -> None:
    host = (*A[:2], TIMESHARE_HOST)
    shares, busy = fair_shares([(0, 10, 1, A), (0, 20, 1, host)], 0, 20)
    assert shares == {(1, A): 10, (1, host): 10} and busy == 20


def test_the_counter_of_the_stub_is_read_as_it_steps(stub: Stub, nvml: Nvml) -> None:
    """What a naive difference around a 30 ms request reads: nothing, or a whole step."""
    stub.set(power_mw=400_000)
    read = []
    for _ in range(50):
        before = look(nvml).energy
        stub.advance(30)
        read.append(look(nvml).energy - before)
    assert set(read) == {0, 40_000}, "and never the 12 J that it took"

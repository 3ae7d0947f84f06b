# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import pytest

from otel_tts.device.memory.leak import LeakWatch

MIB = 1 << 20


def watch(samples) -> list[float | None]:
    watched, seen = LeakWatch(), []
    for number, allocated in enumerate(samples, 1):
        watched.quiescent(round(allocated), number)
        seen.append(watched.bytes_per_request)
    return seen


@pytest.mark.parametrize("noise", [0, 1, 8, 64, 1024])
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_leak(noise: int, seed: int) -> None:
    rnd = random.Random(seed)
    seen = watch(2048 * MIB + rnd.random() * noise * MIB for _ in range(5000))
    assert set(seen) == {None, 0.0}


@pytest.mark.parametrize("noise", [0, 8, 64])
def test_a_mebibyte_a_request_is_told_as_that(noise: int) -> None:
    rnd = random.Random(noise)
    seen = watch(2048 * MIB + n * MIB + rnd.random() * noise * MIB for n in range(400))
    assert seen[118] is None, "too little was seen"
    assert seen[-1] == pytest.approx(MIB, rel=0.3)
    assert all(value for value in seen[119:])


def test_a_small_leak_under_noise_is_found_too() -> None:
    rnd = random.Random(1)
    seen = watch(2048 * MIB + n * 100_000 + rnd.random() * 16 * MIB for n in range(600))
    told = [value for value in seen if value]
    assert len(told) > 100 and all(value == pytest.approx(100_000, rel=0.5) for value in told)


def test_a_cache_that_fills_and_stops_falls_silent() -> None:
    seen = watch(min(n, 150) * MIB for n in range(600))
    assert seen[130] and seen[-1] == 0.0


def test_memory_given_back_is_no_leak() -> None:
    assert watch((n % 50) * MIB for n in range(2000))[-1] == 0.0


# --- a high-water mark ------------------------------------------------------------------------------------------------


def watch_needs(pairs) -> LeakWatch:
    watched = LeakWatch()
    for number, (allocated, need) in enumerate(pairs, 1):
        watched.quiescent(round(allocated), number, need)
    return watched


def kept_for_the_largest(needs):
    """What an engine keeps that makes its buffers as large as the largest request needed them."""
    largest = 0.0
    for need in needs:
        yield 2048 * MIB + largest, need
        largest = max(largest, need)


def test_requests_that_grow_leave_a_high_water_mark_and_no_leak() -> None:
    watched = watch_needs(kept_for_the_largest(n * MIB for n in range(1, 400)))
    assert watched.bytes_per_request == 0.0
    assert watched.high_water > 300 * MIB


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_found_under_a_high_water_mark(seed: int) -> None:
    rnd = random.Random(seed)
    kept = kept_for_the_largest(rnd.randint(1, 300) * MIB for _ in range(600))
    watched = watch_needs((allocated + n * MIB, need) for n, (allocated, need) in enumerate(kept))
    assert watched.bytes_per_request == pytest.approx(MIB, rel=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_requests_of_any_length_leave_no_leak(seed: int) -> None:
    rnd = random.Random(seed)
    watched = watch_needs(kept_for_the_largest(rnd.paretovariate(1) * MIB for _ in range(3000)))
    assert watched.bytes_per_request == 0.0

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

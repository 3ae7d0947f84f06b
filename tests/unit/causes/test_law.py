# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The line that says what a text needs: found in spite of noise, slow requests and odd lengths."""

from __future__ import annotations

import numpy as np
import pytest

from otel_tts.causes.law import LEAST, fit


def drawn(seed: int, count: int, base: float = 0.3, each: float = 0.012) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    characters = chance.integers(2, 600, count).astype(float)
    return (base + each * characters) * chance.lognormal(0, 0.2, count), characters


@pytest.mark.parametrize("seed", range(5))
def test_it_is_found_within_a_few_percent(seed: int) -> None:
    law = fit(*drawn(seed, 500))
    assert law is not None and law.count == 500
    for length in (20, 100, 500):
        assert law.expected(length) == pytest.approx(0.3 + 0.012 * length, rel=0.06)
    assert law.spread == pytest.approx(0.2, rel=0.25)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_slow_requests_do_not_bend_it(share: float) -> None:
    seconds, characters = drawn(1, 800)
    slowed = seconds.copy()
    slowed[: round(share * 800)] *= 5
    law = fit(slowed, characters)
    assert law is not None
    assert law.expected(300) == pytest.approx(0.3 + 0.012 * 300, rel=0.3 * share + 0.06)
    assert np.median(law.excess(slowed[: round(share * 800)], characters[: round(share * 800)])) > 3


def test_a_stage_that_needs_the_same_for_every_text() -> None:
    chance = np.random.default_rng(3)
    law = fit(0.12 * chance.lognormal(0, 0.1, 200), chance.integers(2, 600, 200).astype(float))
    assert law is not None
    assert law.expected(5) == pytest.approx(0.12, rel=0.05) and law.expected(600) == pytest.approx(0.12, rel=0.05)


def test_one_length_only_none_at_all_and_absurd_times() -> None:
    lengths = np.full(100, 40.0)
    for seconds in (np.full(100, 2.0), np.zeros(100), np.full(100, -3.0), np.full(100, 1e12)):
        law = fit(seconds, lengths)
        assert law is not None
        assert law.expected(40) == pytest.approx(max(float(seconds[0]), 1e-6), rel=0.01)
        assert np.isfinite(law.excess(seconds, lengths)).all()


def test_longer_texts_never_need_less() -> None:
    chance = np.random.default_rng(5)
    characters = chance.integers(2, 600, 300).astype(float)
    law = fit(10 - 0.01 * characters, characters)
    assert law is not None and law.each == 0 and law.base > 0


def test_a_few_requests_say_too_little() -> None:
    assert fit(*drawn(1, LEAST - 1)) is None
    assert fit(*drawn(1, LEAST)) is not None
    assert fit(np.array([]), np.array([])) is None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Fisher's exact test against exact fractions, and the correction for many values against its definition."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_tts.causes.association import Counts, passing


def exact(counts: Counts) -> Fraction:
    """The sum over all ways to choose, in whole numbers."""
    most = min(counts.chosen, counts.having)
    ways = sum(
        math.comb(counts.having, both) * math.comb(counts.total - counts.having, counts.chosen - both)
        for both in range(counts.both, most + 1)
    )
    return Fraction(ways, math.comb(counts.total, counts.chosen))


@st.composite
def tables(draw: st.DrawFn) -> Counts:
    total = draw(st.integers(1, 3000))
    chosen, having = draw(st.integers(0, total)), draw(st.integers(0, total))
    both = draw(st.integers(max(0, chosen + having - total), min(chosen, having)))
    return Counts(both, chosen, having, total)


@given(tables())
def test_the_probability_is_that_of_the_exact_sum(counts: Counts) -> None:
    if counts.both * counts.total > counts.chosen * counts.having:
        assert counts.probability == pytest.approx(float(exact(counts)), rel=1e-8, abs=1e-300)
    else:
        assert counts.probability == 1.0


def test_known_values() -> None:
    assert Counts(5, 25, 5, 500).probability == pytest.approx(53_130 / 255_244_687_600)  # all five are slow
    assert Counts(3, 4, 4, 8).probability == pytest.approx(17 / 70)  # the lady tasting tea
    assert Counts(50_000, 50_000, 60_000, 1_000_000).probability == 0.0  # far below what a float holds


@given(tables())
def test_phi_is_a_correlation(counts: Counts) -> None:
    assert -1 - 1e-9 <= counts.phi <= 1 + 1e-9
    assert (counts.phi > 0) <= (counts.both * counts.total > counts.chosen * counts.having)


def test_phi_is_one_where_just_those_are_slow() -> None:
    assert Counts(10, 10, 10, 100).phi == pytest.approx(1.0)
    assert Counts(0, 10, 0, 100).phi == 0.0


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0.0001, 0.5))
def test_what_passes_is_what_benjamini_and_hochberg_say(probabilities: list[float], level: float) -> None:
    ordered = sorted(probabilities)
    limits = [one for rank, one in enumerate(ordered, 1) if one <= level * rank / len(ordered)]
    largest = max(limits, default=-1.0)
    passed = passing(probabilities, level)
    assert len(passed) == len(probabilities)
    assert sum(passed) == sum(one <= largest for one in probabilities) or len(set(probabilities)) < len(probabilities)
    assert all(one <= largest for one, passes in zip(probabilities, passed, strict=True) if passes)

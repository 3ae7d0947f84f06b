# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether some requests share a value more often than chance would have it: Fisher's exact test, over many values.

No library: scipy takes half a second to load and 100 MB on disk for the one sum below; tests hold it against exact
fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LEVEL: Final = 0.001
"""Share of searches in which something is named though nothing is there, at most."""


@dataclass(frozen=True)
class Counts:
    """Of `total` requests `chosen` are slow (or failed), `having` have a value, `both` are slow and have it."""

    both: int
    chosen: int
    having: int
    total: int

    @property
    def phi(self) -> float:
        """Their correlation: 1 where just those that have it are slow, 0 where it makes no difference."""
        by_chance = self.chosen * self.having
        spread = by_chance * (self.total - self.chosen) * (self.total - self.having)
        return (self.both * self.total - by_chance) / math.sqrt(spread) if spread else 0.0

    @property
    def probability(self) -> float:
        """That chance alone makes so many slow ones have it, or more: the upper tail of the hypergeometric law.

        1 where there are no more than chance makes on average.
        """
        if self.both * self.total <= self.chosen * self.having:
            return 1.0
        most = min(self.chosen, self.having)
        first = math.exp(
            _choose(self.having, self.both)
            + _choose(self.total - self.having, self.chosen - self.both)
            - _choose(self.total, self.chosen)
        )
        tail = term = first
        for both in range(self.both, most):
            term *= (self.having - both) * (self.chosen - both)
            term /= (both + 1) * (self.total - self.having - self.chosen + both + 1)
            tail += term
            if term < tail * 1e-17:
                break
        return min(1.0, tail)


def _choose(of: int, some: int) -> float:
    """The logarithm of the number of ways."""
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)


def passing(probabilities: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which of them are below what chance gives among so many (Benjamini and Hochberg)."""
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    last = 0
    for rank, place in enumerate(order, 1):
        if probabilities[place] <= level * rank / len(order):
            last = rank
    passed = set(order[:last])
    return [place in passed for place in range(len(order))]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a synthesis needs: seconds as a line over the length of its text, fitted so that slow requests do not bend it.

Half a second for every text and 12 ms a character, say. Times vary in proportion to their length, so distances from
the line are measured as ratios; a tenth, or even a third, of requests far above it leave it where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LEAST: Final = 30
"""Requests that a line is fitted to; fewer say too little."""

MOST: Final = 20_000
"""Requests that a line is fitted to; of more every second, third, … is taken."""

_ROUNDS: Final = 12
_REACH: Final = 4.685
"""Spreads beyond which a request has no weight: Tukey's, with which a clean sample loses 5 % of its say."""

_SMALLEST: Final = 1e-6
"""Seconds; nothing takes less, and no logarithm is taken of 0."""


@dataclass(frozen=True)
class Law:
    """`base` seconds and `each` more for a character. `spread` is how far apart usual requests lie (logarithm).

    `count` is how many requests it was fitted to, `whose` says for people which.
    """

    base: float
    each: float
    spread: float
    count: int
    whose: str = ""

    def expected(self, characters: Any) -> Any:
        """Seconds for a text of so many characters, at least a microsecond."""
        return np.maximum(self.base + self.each * np.asarray(characters, dtype=np.float64), _SMALLEST)

    def excess(self, seconds: Any, characters: Any) -> Any:
        """How far above the line, in spreads: 0 for a usual request, 3 for one that is rare."""
        taken = np.maximum(np.asarray(seconds, dtype=np.float64), _SMALLEST)
        return np.log(taken / self.expected(characters)) / self.spread


def fit(seconds: Values, characters: Values, whose: str = "") -> Law | None:
    """The line of these requests, None where they are fewer than `LEAST`."""
    if len(seconds) < LEAST:
        return None
    every = -(-len(seconds) // MOST)
    seconds, characters = seconds[::every], characters[::every]
    taken = np.maximum(seconds, _SMALLEST)
    base, each = _first(taken, characters)
    for _ in range(_ROUNDS):
        line = np.maximum(base + each * characters, 0.05 * float(np.median(taken)))
        apart = np.log(taken / line)
        middle = float(np.median(apart))
        weight = _tukey((apart - middle) / _spread(apart)) / line**2
        base, each = _weighted(taken, characters, weight)
    law = Law(base, each, 1.0, len(taken), whose)
    apart = np.log(taken / law.expected(characters))
    # The line goes through the middle: half of the requests are above it, half below.
    shift = float(np.exp(np.median(apart)))
    return Law(base * shift, each * shift, _spread(apart), len(taken), whose)


def _first(taken: Values, characters: Values) -> tuple[float, float]:
    """The median of the slopes between each short text and one that is half the sample longer."""
    order = np.argsort(characters, kind="stable")
    times, lengths = taken[order], characters[order]
    half = len(order) // 2
    run = lengths[half:] - lengths[: len(order) - half]
    rise = times[half:] - times[: len(order) - half]
    apart = run > 0
    each = max(0.0, float(np.median(rise[apart] / run[apart]))) if apart.any() else 0.0
    return float(np.median(taken - each * characters)), each


def _weighted(taken: Values, characters: Values, weight: Values) -> tuple[float, float]:
    """Least squares; neither a text of no characters nor a longer one takes less than nothing."""
    total = float(weight.sum())
    mean_length, mean_time = float(weight @ characters) / total, float(weight @ taken) / total
    across = characters - mean_length
    square = float(weight @ across**2)
    each = float(weight @ (across * taken)) / square if square > 1e-12 * total else 0.0
    if each < 0:
        return mean_time, 0.0
    base = mean_time - each * mean_length
    if base >= 0:
        return base, each
    return 0.0, float(weight @ (characters * taken)) / float(weight @ characters**2)


def _spread(apart: Values) -> float:
    """From the faster half alone, as for a normal distribution: what is slow for a cause does not widen it."""
    low, middle = np.quantile(apart, (0.1587, 0.5))
    return max(float(middle - low), 0.01)


def _tukey(apart: Values) -> Values:
    near = np.clip(1 - (apart / _REACH) ** 2, 0, None)
    return np.maximum(near**2, 1e-6)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a synthesis needs: seconds as a line over the length of its text, fitted so that slow requests do not bend it.

Half a second for every text and 12 ms a character, say. Times vary in proportion to their length, so distances from
the line are measured as ratios; requests far above it leave it where it is, be they half of all.
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

_ROUNDS: Final = 20
_LOW: Final = 0.25
"""Of the requests, the quick ones that the fit begins with: as long as these are well, the others may all be slow."""

_REACH: Final = 2.5
"""Spreads beyond which a request has no weight (Tukey): nearer than usual, since slow ones come in crowds."""

_LEAST_SPREAD: Final = 0.05
"""A twentieth more or less is nothing to speak of, however alike requests are."""

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

    def above(self, seconds: Any, characters: Any) -> Any:
        """How far above the line, as a logarithm: 0 for a usual request, 0.69 for one that took twice as long."""
        return np.log(np.maximum(np.asarray(seconds, dtype=np.float64), _SMALLEST) / self.expected(characters))

    def excess(self, seconds: Any, characters: Any) -> Any:
        """How far above the line, in spreads: 0 for a usual request, 3 for one that is rare."""
        return self.above(seconds, characters) / self.spread


def fit(seconds: Values, characters: Values, whose: str = "") -> Law | None:
    """The line of these requests, None where they are fewer than `LEAST`."""
    if len(seconds) < LEAST:
        return None
    every = -(-len(seconds) // MOST)
    taken, characters = np.maximum(seconds[::every], _SMALLEST), characters[::every]
    base, each = _first(taken, characters)
    least = 0.05 * float(np.quantile(taken, _LOW))
    weight, shift, spread = np.ones(len(taken)), 1.0, 1.0
    for _ in range(_ROUNDS):
        line = np.maximum(base + each * characters, least)
        apart = np.log(taken / line)
        spread = _spread(apart)
        weight = _tukey(apart / spread)
        base, each = _weighted(taken, characters, weight / line**2)
    law = Law(base, each, spread, len(taken), whose)
    apart = law.above(taken, characters)
    weight = _tukey(apart / spread)
    shift = float(np.exp(weight @ apart / weight.sum()))  # through the middle of those that count
    law = Law(base * shift, each * shift, spread, len(taken), whose)
    return Law(law.base, law.each, _spread(law.above(taken, characters)), law.count, whose)


def _first(taken: Values, characters: Values) -> tuple[float, float]:
    """A line through the quick ones: the median of the slopes between each text and one half the sample longer, at a
    height that a quarter of the requests lie below."""
    order = np.argsort(characters, kind="stable")
    times, lengths = taken[order], characters[order]
    half = len(order) // 2
    run = lengths[half:] - lengths[: len(order) - half]
    rise = times[half:] - times[: len(order) - half]
    apart = run > 0
    # As np.median, which imports all of numpy.ma first.
    each = max(0.0, float(np.quantile(rise[apart] / run[apart], 0.5))) if apart.any() else 0.0
    return float(np.quantile(taken - each * characters, _LOW)), each


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
    """From what is quicker than the line alone, as for a normal distribution: slow ones do not widen it."""
    quick = apart[apart < 0]
    return max(float(np.sqrt(np.mean(quick**2))) if len(quick) else 0.0, _LEAST_SPREAD)


def _tukey(apart: Values) -> Values:
    near = np.clip(1 - (apart / _REACH) ** 2, 0, None)
    return np.maximum(near**2, 1e-6)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of a measure: what is always in use, whatever comes and goes above it."""

from __future__ import annotations

from collections import deque
from itertools import pairwise, takewhile
from typing import Final

_PARTS: Final = 6
_GRAINS: Final = 10
"""Values of a window that are kept, each the least of its part of it."""
_GROWN: Final = 1.02
"""A floor rises where it has grown by more than this over its whole time."""


class Floor:
    """Values of one measure over time; `now` in seconds on a clock that nobody sets."""

    def __init__(self, window_s: float, rise_s: float) -> None:
        self._window_s, self._rise_s = window_s, max(rise_s, window_s)
        self._values: deque[tuple[float, float]] = deque()
        self._began: float | None = None

    def add(self, now: float, value: float) -> None:
        """Take a value."""
        if self._began is None:
            self._began = now
        if self._values and now - self._values[-1][0] < self._window_s / _GRAINS:
            at, least = self._values.pop()
            self._values.append((at, min(least, value)))
        else:
            self._values.append((now, value))
        while self._values[0][0] < now - self._rise_s:
            self._values.popleft()

    def lowest(self, now: float) -> float | None:
        """Return the least value of the window; None before it has been watched for so long."""
        if self._began is None or now - self._began < self._window_s:
            return None
        window = takewhile(lambda one: one[0] >= now - self._window_s, reversed(self._values))
        return min((value for _, value in window), default=None)

    def rises(self, now: float) -> bool | None:
        """Whether each part's least value is above that of the part before; None before all parts were watched."""
        if self._began is None or now - self._began < self._rise_s:
            return None
        lowest = [float("inf")] * _PARTS
        length = self._rise_s / _PARTS
        for at, value in self._values:
            part = int((at - (now - self._rise_s)) // length)
            if part >= 0:  # older ones stay where none came since
                lowest[min(part, _PARTS - 1)] = min(lowest[min(part, _PARTS - 1)], value)
        if float("inf") in lowest:
            return None
        return all(before <= after for before, after in pairwise(lowest)) and lowest[-1] > lowest[0] * _GROWN

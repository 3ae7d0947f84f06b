# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A leak is memory that is still allocated when no request is open, and more of it block after block.

The lowest of a block of samples is what stays whatever the requests in it did; noise moves it by little. Six such
floors that rise in a row, by more than chance does, are a leak. Caches that fill and stop do not go on rising.
"""

from __future__ import annotations

import collections
import itertools
from typing import Final

_BLOCK: Final = 20
_BLOCKS: Final = 6
_LEAST_RISE: Final = 1 << 20
_NOISE_SHARE: Final = 0.25
"""Of the spread inside a block: floors that rise by less may do so by chance."""


class LeakWatch:
    """Watches one device's allocated memory for floors that rise block after block."""

    def __init__(self) -> None:
        self.bytes_per_request: float | None = None
        """0 without a steady rise, None while too little was seen."""
        self._samples: list[int] = []
        self._floors: collections.deque[tuple[int, int]] = collections.deque(maxlen=_BLOCKS)

    def quiescent(self, allocated: int, requests: int) -> None:
        """Take note of the bytes allocated at a moment when nothing was open, after `requests` requests in all."""
        self._samples.append(allocated)
        if len(self._samples) < _BLOCK:
            return
        spread = max(self._samples) - min(self._samples)
        self._floors.append((min(self._samples), requests))
        self._samples = []
        if len(self._floors) == _BLOCKS:
            self.bytes_per_request = self._judge(spread)

    def _judge(self, spread: int) -> float:
        floors = [floor for floor, _ in self._floors]
        rise, requests = floors[-1] - floors[0], self._floors[-1][1] - self._floors[0][1]
        steady = all(low < high for low, high in itertools.pairwise(floors))
        if steady and requests > 0 and rise >= max(_LEAST_RISE, _NOISE_SHARE * spread):
            return rise / requests
        return 0.0

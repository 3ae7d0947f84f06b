# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A leak is memory that is still allocated when no request is open, and more of it block after block.

The lowest of a block of samples is what stays whatever the requests in it did; noise moves it by little. Six such
floors that rise in a row, by more than chance does, are a leak. Caches that fill and stop do not go on rising.

A high-water mark rises too, but only with requests that need more than any before: what was made for the longest text
is kept for the next one. A block in which such a request came says nothing about a leak; its rise is kept apart.
"""

from __future__ import annotations

import collections
import itertools
from typing import Final, NamedTuple

_BLOCK: Final = 20
_BLOCKS: Final = 6
_LEAST_TELLING: Final = 3
"""Rises without a larger request that six floors need to be a leak."""
_LEAST_RISE: Final = 1 << 20
_NOISE_SHARE: Final = 0.25
"""Of the spread inside a block: floors that rise by less may do so by chance."""
_MORE: Final = 1.02
"""A request is larger than any before by that factor; less is rounding of the allocator."""


class _Floor(NamedTuple):
    """The least of a block, the requests by then, and whether one in it needed more than any before."""

    allocated: int
    requests: int
    record: bool


class LeakWatch:
    """Watches an amount of allocated memory for floors that rise block after block."""

    def __init__(self) -> None:
        self.bytes_per_request: float | None = None
        """0 without a steady rise, None while too little was seen."""
        self.high_water = 0
        """Bytes of all rises that came with requests larger than any before."""
        self._samples: list[int] = []
        self._floors: collections.deque[_Floor] = collections.deque(maxlen=_BLOCKS)
        self._largest = 0.0
        self._record = False

    def quiescent(self, allocated: int, requests: int, need: float = 0) -> None:
        """Take note of the bytes allocated at a moment when nothing was open, after `requests` requests in all.

        `need` is what the request that begins then, or ended just before, asked for: in bytes, or anything that grows
        with them.
        """
        self._samples.append(allocated)
        if need > self._largest * _MORE:
            self._largest, self._record = need, True
        if len(self._samples) < _BLOCK:
            return
        spread, floor = max(self._samples) - min(self._samples), _Floor(min(self._samples), requests, self._record)
        if self._floors and (floor.record or self._floors[-1].record):
            self.high_water += max(0, floor.allocated - self._floors[-1].allocated)
        self._floors.append(floor)
        self._samples, self._record = [], False
        if len(self._floors) == _BLOCKS:
            self.bytes_per_request = self._judge(spread)

    def _judge(self, spread: int) -> float:
        steps = list(itertools.pairwise(self._floors))
        # What a larger request leaves behind shows in the least of its own block or of the next one.
        telling = [(before, after) for before, after in steps if not (before.record or after.record)]
        rise = sum(after.allocated - before.allocated for before, after in telling)
        requests = sum(after.requests - before.requests for before, after in telling)
        steady = all(before.allocated < after.allocated for before, after in steps)
        enough = len(telling) >= _LEAST_TELLING and requests > 0
        if steady and enough and rise >= max(_LEAST_RISE, _NOISE_SHARE * spread) * len(telling) / len(steps):
            return rise / requests
        return 0.0

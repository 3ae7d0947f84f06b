# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What varies from run to run is fixed here, at its source: imported before anything that binds a name of `time`.

The clock stands still until a scene lets time pass. `time.monotonic` is the real one: deadlines wait on it.
"""

from __future__ import annotations

import random
import time

EPOCH_NS = 1_700_000_000_000_000_000
"""The time of day at which a scene begins."""


class Clock:
    """Host clock and time of day of one process; a forked child goes on from its parent's."""

    def __init__(self) -> None:
        self.ns = 0

    def read(self) -> int:
        return 5_000_000_000 + self.ns

    def time_of_day(self) -> int:
        return EPOCH_NS + self.ns

    def tick(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


clock = Clock()
tick = clock.tick


def install() -> None:
    """Put the clock in the place of the real ones."""
    time.perf_counter_ns, time.time_ns = clock.read, clock.time_of_day
    time.perf_counter = lambda: clock.read() / 1e9
    time.time = lambda: clock.time_of_day() / 1e9
    random.randrange = lambda start, stop: stop - 1  # the SDK draws lots for a counter's exemplar: the first stays

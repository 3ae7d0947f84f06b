# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Room for other threads while much is done in the background."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

BREATH_S: Final = 0.00005
"""Seconds of real sleep: who only yields the interpreter is the first to take it again."""
WORK_NS: Final = 250_000
"""Nanoseconds of work between two: a sleep costs some microseconds, and another thread waits for the work at most."""

_LOOK_EVERY: Final = 8
"""Items of telemetry, each some microseconds of work, between two looks at the clock."""


class Breath:
    """Pauses in the work of one thread, each when it is due."""

    def __init__(self) -> None:
        self._since = time.perf_counter_ns()

    def take(self) -> None:
        """Sleep a moment where the last pause is long enough ago."""
        if time.perf_counter_ns() - self._since >= WORK_NS:
            time.sleep(BREATH_S)
            self._since = time.perf_counter_ns()


def breathing(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`, and sleep a moment now and then: another thread waits for a few of them, not for a whole batch."""
    breath = Breath()
    for number, item in enumerate(items, 1):
        yield item
        if number % _LOOK_EVERY == 0:
            breath.take()

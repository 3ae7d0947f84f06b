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
_EVERY: Final = 32
"""Items of a batch of telemetry, each some microseconds of work."""


def breathing(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`, and sleep a moment now and then: another thread waits for a few of them, not for a whole batch."""
    for number, item in enumerate(items, 1):
        if number % _EVERY == 0:
            time.sleep(BREATH_S)
        yield item

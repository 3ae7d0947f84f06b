# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The device's numbers at the moment when an allocation failed; a moment later others have freed their share."""

from __future__ import annotations

import collections
import time
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed allocation: when (perf_counter_ns), where, and bytes."""

    at: int
    device: int
    requested: int
    total: int
    free: int


class Failures:
    """The latest failures of all devices."""

    def __init__(self) -> None:
        self._kept: collections.deque[Failure] = collections.deque(maxlen=_KEPT)

    def note(self, device: int, requested: int, total: int, free: int) -> None:
        """Called by the allocator, in the middle of the failing allocation: copy the numbers, raise nothing."""
        self._kept.append(Failure(time.perf_counter_ns(), device, requested, total, free))

    def between(self, start: int, end: int) -> Failure | None:
        """Return the last failure between two times of the host's clock."""
        return next((failure for failure in reversed(list(self._kept)) if start <= failure.at <= end), None)

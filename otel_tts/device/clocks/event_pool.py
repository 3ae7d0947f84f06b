# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Events are used again: creating one is not free, and slow where several threads create at once."""

from __future__ import annotations

import collections
from typing import Any, Final

from otel_tts.device.torch.backend import Backend

LIMIT: Final = 16_384
"""Events that may exist: 8,192 windows that wait for the device."""


class Exhausted(Exception):
    """All events wait for the device."""


class EventPool:
    """An event belongs to the device that it was first recorded on."""

    def __init__(self, backend: Backend, limit: int = LIMIT) -> None:
        self._backend, self._limit = backend, limit
        self._free: dict[int, collections.deque[Any]] = collections.defaultdict(collections.deque)
        self.made = 0

    def take(self, device: int) -> Any:
        """Return an event for `device`; raises `Exhausted` where too many are out."""
        try:
            return self._free[device].pop()
        except IndexError:
            pass
        if self.made >= self._limit:
            raise Exhausted
        self.made += 1
        return self._backend.new_event()

    def give_back(self, device: int, event: Any) -> None:
        """Take `event` back. It may still be pending: recording it again replaces what it stood for."""
        self._free[device].append(event)

    def forget(self, count: int = 1) -> None:
        """`count` events are not coming back."""
        self.made -= count

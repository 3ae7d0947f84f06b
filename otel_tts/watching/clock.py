# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The watcher's clocks: one that only goes on, for how long something has lasted, and the time of day."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the watcher knows of time."""

    def now(self) -> float:
        """Seconds on a clock that nobody sets."""
        ...

    def wall(self) -> float:
        """Unix time; somebody may set it, back too."""
        ...

    def sleep(self, seconds: float) -> bool:
        """Wait; True where the watcher is to end."""
        ...


class RealClock:
    """This machine's clocks. `stop` ends each sleep, now and later."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def sleep(self, seconds: float) -> bool:
        return self._stopped.wait(seconds)

    def stop(self, *signal: object) -> None:
        """The watcher is to end; fit to be a signal's handler."""
        self._stopped.set()

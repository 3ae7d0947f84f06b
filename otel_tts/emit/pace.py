# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""When the thread looks again: ten times a second while something is open or waits, once a second while nothing does.

Nobody wakes it for a request. Only the first one after a long silence calls it, and then it looks as often as ever.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Final

from otel_tts.recording.recorder import Recorder

SILENT_S: Final = 1.0
"""Seconds between two looks while nothing is open and nothing waits."""
_SILENT_AFTER: Final = 50
"""Looks that find nothing before they become rare: a service with a request now and then is not called for each."""


class Pace:
    """One thread's rests between its looks, `interval` seconds each. `call` is safe in a signal's handler."""

    def __init__(self, recorder: Recorder, interval: float, is_idle: Callable[[], bool]) -> None:
        self._recorder, self._interval, self._is_idle = recorder, interval, is_idle
        # Looked up when it is made: by then gevent may have put one there that lets other greenlets run meanwhile.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._found_nothing = 0

    def call(self) -> None:
        """End the rest that is going on, or the next one."""
        self._calls.put(None)

    def rest(self) -> None:
        """Sleep until it is time to look."""
        self._found_nothing = self._found_nothing + 1 if self._is_idle() else 0
        if self._found_nothing > _SILENT_AFTER and not self._sleep_long():
            return
        self._wait(self._interval)

    def _sleep_long(self) -> bool:
        """Sleep until a request begins; False where none did for a second."""
        recorder = self._recorder
        recorder.asleep = True  # before it is asked once more: what begins from here on will call
        if self._is_idle() and not self._wait(max(SILENT_S, self._interval)):
            recorder.asleep = False
            return False
        recorder.asleep = False
        self._found_nothing = 0
        return not recorder.closed

    def _wait(self, seconds: float) -> bool:
        try:
            self._calls.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

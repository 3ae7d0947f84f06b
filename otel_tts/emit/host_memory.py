# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Does the process's own memory leak? Asked when a request has ended and no other is open."""

from __future__ import annotations

import time
from typing import Final

import psutil

from otel_tts import names
from otel_tts.device.memory.leak import LeakWatch
from otel_tts.recording.synthesis import Synthesis

_EVERY_S: Final = 0.5
"""Seconds between two looks at least: each reads a file."""


class HostMemory:
    """Watches the process's resident memory, off the requests' path."""

    watch: LeakWatch

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin, also in a forked child, whose memory is another process's."""
        self.watch, self._process = LeakWatch(), psutil.Process()
        self._requests, self._need, self._looked = 0, 0.0, 0.0

    def note(self, synthesis: Synthesis) -> None:
        """A request has ended: look at what stays where none is open. How long its text was is what it needed."""
        self._requests += 1
        length, now = synthesis.attrs.get(names.TEXT_LENGTH), time.monotonic()
        if isinstance(length, (int, float)):
            self._need = max(self._need, length)
        if not synthesis.recorder.open and now - self._looked >= _EVERY_S:
            self._looked = now
            self.watch.quiescent(self._process.memory_info().rss, self._requests, self._need)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One event loop that is asked now and then for a sign of life, by the way that other threads hand it work."""

from __future__ import annotations

import asyncio
import collections
import threading
import time
import weakref
from time import perf_counter_ns
from typing import Final, NamedTuple

from otel_tts.recording.loops.code import Place

LATE_NS: Final = 50_000_000
"""A sign of life that takes longer is late: until then a loop has been doing its work."""
_TURNS: Final = 10
"""Turns that a loop is given after it was late until it is taken to be on time again: what came in meanwhile is read in
the first, and a server takes a few to hand it to the application."""
_MOST_KEPT: Final = 64


class Answer(NamedTuple):
    """A late sign of life: asked for, given (perf_counter_ns), CPU time of the loop's thread in between (ns)."""

    asked: int
    given: int
    cpu: int


class WatchedLoop:
    """Made on the loop's own thread. `ask` and what else the watcher does comes from another one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.asked: int | None = None
        """Since when a sign of life is awaited (perf_counter_ns); None: none is."""
        self.answers: collections.deque[Answer] = collections.deque(maxlen=_MOST_KEPT)
        """Late ones."""
        self.places: collections.Counter[Place] = collections.Counter()
        """Where its thread was seen while it was late. The watcher's."""
        self._number = self._turns = 0
        self._prompt = perf_counter_ns()
        self._note_thread()

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it watches just this loop, not one of the past at the same address."""
        return self._loop() is loop

    def _note_thread(self) -> None:
        self.thread = threading.get_ident()
        get_clock = getattr(time, "pthread_getcpuclockid", None)
        self._clock: int | None = get_clock(self.thread) if get_clock is not None else None

    # --- by the watcher -----------------------------------------------------------------------------------------------

    def ask(self) -> bool:
        """Ask for a sign of life where none is awaited. False where the loop is gone."""
        loop = self._loop()
        if loop is None or loop.is_closed():
            return False
        if not loop.is_running():  # between two runs nothing is due
            self._forget()
        elif self.asked is None:
            self.asked = perf_counter_ns()
            loop.call_soon_threadsafe(self._answer, self._number, self.asked, self._cpu())
        return True

    def is_late(self, now: int) -> bool:
        """Whether a sign of life is overdue."""
        asked = self.asked
        return asked is not None and now - asked >= LATE_NS

    def waits_ns(self, now: int) -> int:
        """Return how long the loop has not done what it was asked for."""
        asked = self.asked
        return now - asked if asked is not None else 0

    def _forget(self) -> None:
        self._number += 1
        self.asked = None
        self.places.clear()

    def _cpu(self) -> int:
        try:
            return time.clock_gettime_ns(self._clock) if self._clock is not None else 0
        except OSError:  # that thread has ended
            return 0

    # --- on the loop's thread -----------------------------------------------------------------------------------------

    def lag_before_ns(self, now: int) -> int | None:
        """Return the longest that what the loop begins at `now` may have waited for it; None where it was on time.

        The loop has last read from its connections after it was on time the last time.
        """
        return now - self._prompt if self._turns or self.is_late(now) else None

    def _answer(self, number: int, asked: int, cpu: int) -> None:
        if number != self._number:  # asked before it was stopped
            return
        now = perf_counter_ns()
        self.asked = None
        if now - asked < LATE_NS:
            if not self._turns:
                self._prompt = now
            return
        self.answers.append(Answer(asked, now, max(0, time.thread_time_ns() - cpu) if cpu else 0))
        running, self._turns = self._turns, _TURNS
        if not running:
            self._turn()
        if threading.get_ident() != self.thread:  # it runs on another thread this time
            self._note_thread()

    def _turn(self) -> None:
        loop, now = self._loop(), perf_counter_ns()
        self._turns -= 1
        if self._turns <= 0 or loop is None:
            self._turns = 1 if self.is_late(now) else 0
            if not self._turns:
                self._prompt = now
                return
        if loop is not None:
            loop.call_soon(self._turn)

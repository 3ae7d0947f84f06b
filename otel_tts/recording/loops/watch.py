# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Watches the event loops that requests come through, from a thread of its own.

Ten times a second while requests come or run, once a second while none does, each loop is asked for a sign of life.
While it owes one, its thread's place in the code is noted. Nothing of asyncio is patched: a loop is watched from the
first request that arrives in it or is spoken on it, and forgotten when it is closed.
"""

from __future__ import annotations

import asyncio
import collections
import queue
import threading
import time
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Final, NamedTuple

from otel_tts import forking
from otel_tts.guard import contain, note_fault
from otel_tts.names import LoopCause
from otel_tts.recording.loops.code import Place, place_of_thread
from otel_tts.recording.loops.loop import LATE_NS, Answer, WatchedLoop
from otel_tts.recording.loops.stillness import Collections, Gap, cause_of

INTERVAL_S: Final = 0.1
"""Seconds between two looks while requests come or run."""
SILENT_S: Final = 1.0
"""Seconds between two looks while none does."""
REPORTED_NS: Final = 1_000_000_000
"""A loop that was late by as much is reported."""
WORST_OF_S: Final = 60.0
"""Seconds for which the worst lag is remembered: as long as metrics are usually collected once."""
_SILENT_AFTER_S: Final = 5.0
_SEEN_AFTER_NS: Final = 150_000_000
"""Its place is asked for where a loop is that late: what is in time costs nothing."""
_MOST_LOOPS: Final = 64
_MOST_KEPT: Final = 1024


class Late(NamedTuple):
    """An event loop did nothing that was due from `began` to `ended` (perf_counter_ns)."""

    began: int
    ended: int
    cause: str
    """One of `otel_tts.names.LoopCause`."""
    cpu: int
    """ns of CPU time that the loop's thread had meanwhile."""
    place: Place | None


class LoopWatch:
    """The event loops of one process. `note` is on the request's path and on the loop's thread, the rest is on neither.

    It does nothing before `allow`. `is_busy` says whether a request runs; `report` takes what was late by a second and
    more.
    """

    def __init__(self, is_busy: Callable[[], bool], report: Callable[[Late], object]) -> None:
        self._is_busy, self._report = is_busy, report
        self._allowed = False
        self._collections = Collections()
        self._renew()

    def _renew(self) -> None:
        self._loops: dict[int, WatchedLoop] = {}
        self._gaps: collections.deque[Gap] = collections.deque(maxlen=_MOST_KEPT)
        self._worst: collections.deque[tuple[float, int]] = collections.deque(maxlen=_MOST_KEPT)
        self._lock = threading.Lock()
        self._make_calls()
        self._thread: threading.Thread | None = None
        self._asleep = False
        self._noted = False

    def _make_calls(self) -> None:
        # Looked up when it is made: gevent may have put one there that lets other greenlets run meanwhile.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()

    def allow(self) -> None:
        """Watch loops from now on."""
        self._allowed = True
        forking.register("loops", renew=self._renew)

    def stop(self) -> None:
        """Watch no longer."""
        self._allowed = False
        self._loops.clear()
        self._collections.end()
        self._calls.put(None)

    # --- on the request's path ----------------------------------------------------------------------------------------

    def note(self, loop: asyncio.AbstractEventLoop) -> WatchedLoop | None:
        """A request is at work on `loop`, whose thread calls this: watch it. None where nothing is watched."""
        watched = self._loops.get(id(loop))
        if watched is None or not watched.is_of(loop):
            watched = self._take(loop) if self._allowed else None
        self._noted = True
        if self._asleep:
            self._asleep = False
            self._calls.put(None)
        return watched

    def _take(self, loop: asyncio.AbstractEventLoop) -> WatchedLoop | None:
        if len(self._loops) >= _MOST_LOOPS:
            return None
        try:
            watched = WatchedLoop(loop)
            with self._lock:
                self._loops[id(loop)] = watched
                if self._thread is None:
                    self._start()
            return watched
        except Exception as error:  # no more threads, or a kind of loop that cannot be watched
            note_fault("loops", error)
            self.stop()
            return None

    def _start(self) -> None:
        self._make_calls()
        self._collections.begin()
        thread = threading.Thread(target=self._run, args=(self._calls,), name="otel-tts-loops", daemon=True)
        thread.start()
        self._thread = thread

    # --- asked --------------------------------------------------------------------------------------------------------

    def worst_lag_s(self) -> float | None:
        """Return the longest lag of the last minute in seconds, one that goes on too; None where no loop is watched."""
        if not self._loops:
            return None
        now, since = perf_counter_ns(), time.monotonic() - WORST_OF_S
        lags = [lag for at, lag in self._worst.copy() if at >= since]
        return max([*lags, *(loop.waits_ns(now) for loop in list(self._loops.values()) if loop.is_late(now)), 0]) / 1e9

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self, calls: queue.SimpleQueue[None]) -> None:
        busy_until = time.monotonic() + _SILENT_AFTER_S
        while self._goes_on(calls):
            gap = self._rest(calls, time.monotonic() < busy_until)
            if self._noted or contain("loops", self._is_busy):
                self._noted, busy_until = False, time.monotonic() + _SILENT_AFTER_S
            contain("loops", self._look, gap)

    def _goes_on(self, calls: queue.SimpleQueue[None]) -> bool:
        with self._lock:  # a loop that is taken now finds this thread, or starts another one
            if calls is not self._calls:
                return False
            if not self._loops:
                self._thread = None
                self._collections.end()
            return bool(self._loops)

    def _rest(self, calls: queue.SimpleQueue[None], is_busy: bool) -> Gap | None:
        """Sleep until it is time to look; return by how much that was too long, where it was."""
        seconds = INTERVAL_S if is_busy else SILENT_S
        due, cpu = perf_counter_ns() + int(seconds * 1e9), time.process_time_ns()
        self._asleep = not is_busy
        try:
            calls.get(timeout=seconds)
        except queue.Empty:
            pass
        self._asleep = False
        now = perf_counter_ns()
        return Gap(due, now, time.process_time_ns() - cpu) if now - due >= LATE_NS else None

    def _look(self, gap: Gap | None) -> None:
        if gap is not None:
            self._gaps.append(gap)
        for key, loop in list(self._loops.items()):
            self._see(loop)
            for began, ended, cpu in list(_lates(loop, gap)):
                self._judge(loop, began, ended, cpu)
            if not contain("loops", loop.ask):
                self._loops.pop(key, None)

    def _see(self, loop: WatchedLoop) -> None:
        now = perf_counter_ns()
        if loop.waits_ns(now) >= _SEEN_AFTER_NS and (place := place_of_thread(loop.thread)) is not None:
            loop.places[place] += 1

    def _judge(self, loop: WatchedLoop, began: int, ended: int, cpu: int) -> None:
        self._worst.append((time.monotonic(), ended - began))
        places = loop.places.most_common(1)
        loop.places.clear()
        if ended - began >= REPORTED_NS:
            cause = cause_of(began, ended, cpu, self._collections.long.copy(), self._gaps.copy())
            known = places[0][0] if places and cause == LoopCause.CODE else None
            self._report(Late(began, ended, cause, cpu, known))


def _lates(loop: WatchedLoop, gap: Gap | None) -> Iterator[Answer]:
    """Yield when a loop was late: by its late signs of life, and by the watcher's own gap where none was awaited then.

    Nobody asks while the whole process stands still.
    """
    answers = [loop.answers.popleft() for _ in range(len(loop.answers))]
    yield from answers
    awaited = loop.asked is not None or any(each.given > gap.began for each in answers) if gap is not None else True
    if gap is not None and not awaited:
        yield Answer(gap.began, gap.ended, 0)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Work on a thread of its own: what may hang (a disk, a collector) then holds up nobody but itself.

Threads that are to work at the process's end are started before: Python 3.12 starts none while it shuts down
(https://github.com/python/cpython/issues/113964).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import TypeVar

from otel_tts.guard import contain

T = TypeVar("T")
Job = Callable[[], object]


class _Line:
    """The jobs of one thread, from its start to a fork; its thread knows no other."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[tuple[Job, threading.Event]] = SimpleQueue()
        # A collection in the middle of one job may ask for another, and a signal's handler may wait for all.
        self.idle = threading.Condition(threading.RLock())
        self.open = 0

    def take(self) -> tuple[Job, threading.Event]:
        """Wait for the next job."""
        return self.jobs.get()

    def note_done(self) -> None:
        """One job is done."""
        with self.idle:
            self.open -= 1
            self.idle.notify_all()


class Worker:
    """One daemon thread that does jobs in their order, started with the first of them or by `start`.

    A job's error is contained and counted under `place`.
    """

    def __init__(self, name: str, place: str) -> None:
        self._name, self._place = name, place
        self._line = _Line()
        self._thread: threading.Thread | None = None

    def renew(self) -> list[Job]:
        """Begin anew, as in a forked child, which has none of its parent's threads; return what nobody has begun."""
        before, self._line, self._thread = self._line, _Line(), None
        return [before.jobs.get_nowait()[0] for _ in range(before.jobs.qsize())]

    def start(self) -> None:
        """Start the thread now. Raises RuntimeError where no more threads can be had."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, args=(self._line,), name=self._name, daemon=True)
            thread.start()
            self._thread = thread  # known once it runs: else the next job tries again

    @property
    def open(self) -> int:
        """Jobs that are not done."""
        return self._line.open

    def put(self, job: Job) -> threading.Event:
        """Let `job` be done; the event says that it is. Raises as `start`: then it waits for a later one's thread."""
        done, line = threading.Event(), self._line
        with line.idle:
            line.open += 1
        line.jobs.put((job, done))
        self.start()
        return done

    def ask(self, seconds: float, call: Callable[[], T]) -> T | None:
        """Return what `call` returns; None where it fails, takes longer, or an earlier job is not done.

        Where no thread can be had it is called here.
        """
        if self._line.open:
            return None
        answer: list[T] = []
        try:
            self.start()
        except RuntimeError:
            return contain(self._place, call)
        self.put(lambda: answer.append(call())).wait(seconds)
        return answer[0] if answer else None

    def idle(self, seconds: float) -> bool:
        """Wait until every job is done, for at most `seconds`; say whether that is so."""
        line = self._line
        with line.idle:
            return line.idle.wait_for(lambda: not line.open, seconds)

    def _work(self, line: _Line) -> None:
        while line is self._line:
            job, done = line.take()
            try:
                contain(self._place, job)
            finally:
                del job  # an idle thread keeps nothing alive
                line.note_done()
                done.set()


def run_beside(workers: Mapping[str, Worker], jobs: Mapping[str, Job], seconds: float) -> list[str]:
    """Run each job on the worker of its name, side by side; return the names of those not done after `seconds`."""
    deadline = time.monotonic() + seconds
    ends = {name: workers[name].put(job) for name, job in jobs.items()}
    return [name for name, end in ends.items() if not end.wait(max(0.0, deadline - time.monotonic()))]

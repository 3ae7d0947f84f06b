# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Threads that wait for the end of the process: Python 3.12 starts none while it shuts down.

https://github.com/python/cpython/issues/113964
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue

from otel_tts.guard import contain

Job = Callable[[], object]


class Crew:
    """One parked daemon thread for each name. A job that hangs holds up its own name only."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._jobs: dict[str, SimpleQueue[tuple[Job, threading.Event]]] = {}
        self.restart()

    def restart(self) -> None:
        """Park new threads: a forked child has none of its parent's."""
        self._jobs = {name: SimpleQueue() for name in self._names}
        for name, jobs in self._jobs.items():
            threading.Thread(target=_work, args=(name, jobs), name=f"otel-tts-{name}", daemon=True).start()

    def run(self, jobs: Mapping[str, Job], seconds: float) -> list[str]:
        """Run the jobs side by side for at most `seconds`; return the names of those that were not done by then."""
        deadline = time.monotonic() + seconds
        ends = {name: threading.Event() for name in jobs}
        for name, job in jobs.items():
            self._jobs[name].put((job, ends[name]))
        return [name for name, end in ends.items() if not end.wait(max(0.0, deadline - time.monotonic()))]


def _work(name: str, jobs: SimpleQueue[tuple[Job, threading.Event]]) -> None:
    while True:
        job, end = jobs.get()
        contain(f"flush.{name}", job)
        end.set()

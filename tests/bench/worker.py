# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One way of recording in a process of its own; a line on stdin asks for a round, a line of JSON answers.

``go N``: N requests, paced so that no queue overflows, then a flush. ``flood RATE SECONDS``: requests at a fixed rate.
``stall N``: a burst of N requests, and the longest time that another thread had to wait while it was drained.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from otel_tts import guard
from otel_tts.emit import emitter

Request = Callable[[], None]

_PACE = 0.0005
_WARM_UP = 60


def _nothing() -> None:
    pass


def make(variant: str) -> tuple[Request, Request]:
    if variant == "nothing":
        return _nothing, _nothing
    if variant.startswith("by hand"):
        from tests.bench import by_hand

        return by_hand.make(direct_logs="direct" in variant, queue=2048 if "default" in variant else 16384)
    from tests.bench import ours

    return ours.make(gated="ungated" not in variant, lines="lines" in variant)


def go(request: Request, flush: Request, count: int) -> dict[str, Any]:
    cpu, times = time.process_time(), list[int]()
    for _ in range(count):
        began = time.perf_counter_ns()
        request()
        times.append(time.perf_counter_ns() - began)
        time.sleep(_PACE)
    flush()
    cpu = time.process_time() - cpu
    times.sort()
    return {
        "path": statistics.median(times) / 1e3,
        "p99": times[int(count * 0.99)] / 1e3,
        "cpu": cpu / count * 1e6,
    }


def flood(request: Request, flush: Request, rate: float, seconds: float) -> dict[str, Any]:
    total, late = int(rate * seconds), 0.0
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(total):
        due = began + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        else:
            late = max(late, -wait)
        request()
    took = time.perf_counter() - began
    flush()
    made = emitter.current()
    return {
        "sent": total,
        "rate": total / took,
        "latest": late,
        "cores": (time.process_time() - cpu) / took,
        "dropped": dict(made.recorder.dropped) if made is not None else {},
        "faults": dict(guard.faults),
    }


def stall(request: Request, flush: Request, count: int) -> dict[str, Any]:
    gaps: list[float] = []
    done = threading.Event()

    def watch() -> None:
        longest, last = 0.0, time.perf_counter()
        while not done.is_set():
            time.sleep(0.0002)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        gaps.append(longest)

    for _ in range(count):
        request()
    watcher = threading.Thread(target=watch)
    watcher.start()
    made = emitter.current()
    deadline = time.monotonic() + 10
    while made is not None and made.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    if made is None:
        time.sleep(0.5)
    done.set()
    watcher.join()
    flush()
    return {"stall": gaps[0] * 1e3}


def main() -> None:
    request, flush = make(sys.argv[1])
    for _ in range(_WARM_UP):
        request()
        time.sleep(_PACE)
    flush()
    print(json.dumps({"ready": _WARM_UP}), flush=True)
    commands: dict[str, Callable[..., dict[str, Any]]] = {"go": go, "flood": flood, "stall": stall}
    for line in sys.stdin:
        name, *numbers = line.split()
        answer = commands[name](request, flush, *(int(number) for number in numbers))
        print(json.dumps(answer), flush=True)
    os._exit(0)  # nothing more to send, and nothing of the end is measured


if __name__ == "__main__":
    main()

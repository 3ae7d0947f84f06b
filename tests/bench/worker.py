# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One way of recording in a process of its own; a line on stdin asks for a round, a line of JSON answers.

``go N``: N requests, paced so that no queue overflows, then a flush. ``flood RATE SECONDS``: requests at a fixed rate.
``stall N``: a burst of N requests, and the longest CPU time that another thread had to wait while they were sent.
``idle SECONDS``: nothing. Each kind of worker runs the same code here, and loads nothing that it does not need.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Request = Callable[[], None]

WARM_UP = 60
"""Requests before the first question."""
_PACE = 0.0005
_SETTLED = 1.5
"""Seconds in which what a burst leaves is worked off."""


def _nothing() -> None:
    pass


def make(variant: str) -> tuple[Request, Request]:
    """Return a request and a flush for a way of recording: ours, by hand, nothing, or the name of a peer."""
    if variant == "nothing":
        return _nothing, _nothing
    if variant.startswith("by hand"):
        from tests.bench import by_hand

        if "spans alone" in variant:
            return by_hand.make_spans()
        return by_hand.make(direct_logs="direct" in variant, queue=2048 if "default" in variant else 16384)
    if variant.startswith("otel-tts"):
        from tests.bench import ours

        return ours.make(gated="ungated" not in variant, lines="lines" in variant, events="spans alone" not in variant)
    return import_module(f"tests.bench.peers.{variant}").make()


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
        "memory": _resident(),
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
    return {
        "sent": total,
        "rate": total / took,
        "latest": late,
        "cores": (time.process_time() - cpu) / took,
    }


def stall(request: Request, flush: Request, count: int) -> dict[str, Any]:
    gaps: list[float] = []
    done = threading.Event()

    def watch() -> None:
        # In CPU time of this process: what another process takes of the machine meanwhile is nobody's stall.
        longest, last = 0.0, time.process_time()
        while not done.is_set():
            time.sleep(0.0002)
            now = time.process_time()
            longest, last = max(longest, now - last), now
        gaps.append(longest)

    for _ in range(count):
        request()
    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(_SETTLED)
    flush()
    done.set()
    watcher.join()
    return {"stall": gaps[0] * 1e3}


def idle(_request: Request, _flush: Request, seconds: int) -> dict[str, Any]:
    cpu = time.process_time()
    time.sleep(seconds)
    return {"idle": (time.process_time() - cpu) / seconds * 1e3}


def _resident() -> float:
    """MB of memory that the process holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library may print
    request, flush = make(sys.argv[1])
    for _ in range(WARM_UP):
        request()
        time.sleep(_PACE)
    flush()
    print(json.dumps({"ready": WARM_UP}), file=answers, flush=True)
    commands: dict[str, Callable[..., dict[str, Any]]] = {"go": go, "flood": flood, "stall": stall, "idle": idle}
    for line in sys.stdin:
        name, *numbers = line.split()
        answer = commands[name](request, flush, *(int(number) for number in numbers))
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # nothing more to send, and nothing of the end is measured


if __name__ == "__main__":
    main()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Event loops that stand still: seen from another thread, on real loops, in real time."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_tts.recording.loops import watch
from otel_tts.recording.loops.watch import Late, LoopWatch


@pytest.fixture
def lates() -> list[Late]:
    return []


@pytest.fixture
def watching(lates: list[Late], monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopWatch]:
    """A watch that reports from 0.3 s on, so that tests are short."""
    monkeypatch.setattr(watch, "REPORTED_NS", 300_000_000)
    one = LoopWatch(lambda: False, lates.append)
    one.allow()
    yield one
    one.stop()


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def stand_still(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(100))


async def handler(watching: LoopWatch, seconds: float) -> None:
    watching.note(asyncio.get_running_loop())
    await asyncio.sleep(0.3)
    stand_still(seconds)
    await asyncio.sleep(0.3)


def one_that_was(cause: str, experiment: Callable[[], object], lates: list[Late]) -> Late:
    """Repeat an experiment until it leaves a late loop for that cause: a busy machine gives reasons of its own."""
    for _ in range(8):
        lates.clear()
        experiment()
        wait_for(lambda: lates)
        if found := [late for late in lates if late.cause == cause]:
            return max(found, key=lambda late: late.ended - late.began)
    raise AssertionError(f"never late because of {cause}, but {lates}")


def test_a_blocked_loop_is_reported_with_its_place(watching: LoopWatch, lates: list[Late]) -> None:
    late = one_that_was("code", lambda: asyncio.run(handler(watching, 0.8)), lates)
    assert late.ended - late.began > 0.6e9
    assert late.cpu > 0
    assert late.place is not None
    file, function, line = late.place.code.split(":")
    assert file.endswith("test_loop_watch.py") and function == "stand_still" and line.isdecimal()
    assert (late.place.coroutine or "").split(":")[1] == "handler"
    assert "/work" not in late.place.code and not file.startswith("/")


def test_a_loop_that_sleeps_in_native_code_is_told_from_one_that_computes(watching, lates) -> None:
    async def waits() -> None:
        watching.note(asyncio.get_running_loop())
        await asyncio.sleep(0.3)
        time.sleep(0.8)
        await asyncio.sleep(0.3)

    late = one_that_was("code", lambda: asyncio.run(waits()), lates)
    assert late.cpu < 0.4e9, "it waited"


def test_a_loop_on_time_is_not_reported(watching: LoopWatch, lates: list[Late], monkeypatch) -> None:
    monkeypatch.setattr(watch, "REPORTED_NS", 1_000_000_000)  # a busy machine takes its time

    async def busy_but_kind() -> None:
        watching.note(asyncio.get_running_loop())
        for _ in range(40):
            stand_still(0.005)
            await asyncio.sleep(0.005)

    asyncio.run(busy_but_kind())
    time.sleep(0.3)
    assert [late for late in lates if late.cause == "code"] == []


def test_the_worst_lag_is_remembered_and_one_that_goes_on_counts(watching: LoopWatch) -> None:
    assert watching.worst_lag_s() is None, "no loop, nothing to say"
    seen: list[Any] = []

    async def looked_at() -> None:
        watching.note(asyncio.get_running_loop())
        await asyncio.sleep(0.3)
        threading.Timer(0.6, lambda: seen.append(watching.worst_lag_s())).start()
        stand_still(0.9)
        await asyncio.sleep(0.4)
        seen.append(watching.worst_lag_s())

    asyncio.run(looked_at())
    during, after = seen
    assert during > 0.2, "while it stands still"
    assert after > 0.6


def test_a_request_may_have_waited_since_the_loop_was_on_time(watching: LoopWatch) -> None:
    """Three calls in one turn of the loop: what came in before the first is handed over after all of them."""
    bounds: list[float | None] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        watched = watching.note(loop)
        assert watched is not None
        await asyncio.sleep(0.35)
        bounds.append(watched.lag_before_ns(time.perf_counter_ns()))

        def call() -> None:
            bounds.append(watched.lag_before_ns(time.perf_counter_ns()))
            stand_still(0.4)

        for _ in range(3):
            loop.call_soon(call)
        await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        bounds.append(watched.lag_before_ns(time.perf_counter_ns()))

    asyncio.run(main())
    quiet, first, second, third, after = bounds
    assert quiet is None and first is None and after is None
    assert second is not None and second > 0.35e9
    assert third is not None and third > 0.75e9


def test_a_stopped_loop_is_not_late(watching: LoopWatch, lates: list[Late]) -> None:
    loop = asyncio.new_event_loop()

    async def briefly() -> None:
        watching.note(loop)
        await asyncio.sleep(0.25)

    loop.run_until_complete(briefly())
    time.sleep(0.8)
    loop.run_until_complete(briefly())
    loop.close()
    time.sleep(0.3)
    assert [late for late in lates if late.cause == "code"] == []


def test_a_closed_loop_is_forgotten_and_the_thread_ends(watching: LoopWatch) -> None:
    asyncio.run(handler(watching, 0.0))
    wait_for(lambda: not watching._loops and watching._thread is None)
    assert not any(thread.name == "otel-tts-loops" for thread in threading.enumerate())
    assert watching._collections._note not in gc.callbacks
    asyncio.run(handler(watching, 0.0))  # and begins anew


def test_nothing_is_watched_before_it_is_allowed(lates: list[Late]) -> None:
    one = LoopWatch(lambda: False, lates.append)

    async def main() -> None:
        assert one.note(asyncio.get_running_loop()) is None

    asyncio.run(main())
    assert one._thread is None and one.worst_lag_s() is None


_STOPPED = """
import asyncio, sys, time
from otel_tts.recording.loops import watch
watch.REPORTED_NS = 300_000_000
lates = []
one = watch.LoopWatch(lambda: False, lates.append)
one.allow()
async def main():
    one.note(asyncio.get_running_loop())
    await asyncio.sleep(0.5)
    print("ready", flush=True)
    deadline = time.monotonic() + 20
    long = []
    while not long and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        long = [late for late in lates if late.ended - late.began > 1_000_000_000]
    print(long[0].cause, long[0].place, flush=True)
asyncio.run(main())
"""


def test_a_process_that_was_stopped_says_so() -> None:
    with subprocess.Popen([sys.executable, "-c", _STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == "not_scheduled None\n"


_FORKED = """
import asyncio, os, threading, time
from otel_tts.recording.loops import watch
watch.REPORTED_NS = 300_000_000
lates = []
one = watch.LoopWatch(lambda: False, lates.append)
one.allow()
async def main():
    one.note(asyncio.get_running_loop())
    await asyncio.sleep(0.3)
async def blocked():
    one.note(asyncio.get_running_loop())
    await asyncio.sleep(0.3)
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        sum(range(100))
    await asyncio.sleep(0.3)
asyncio.run(main())
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
pid = os.fork()
if pid == 0:
    watched = len(one._loops), one._thread
    deadline = time.monotonic() + 60
    while not lates and time.monotonic() < deadline:
        asyncio.run(blocked())
    print(watched, bool(lates), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(len(one._loops) > 0, one._thread is not None)
loop.close()
"""


def test_a_forked_child_watches_its_own_loops_and_the_parent_goes_on() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKED], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "(0, None) True\nTrue True\n", done.stdout + done.stderr


_COLLECTING = """
import asyncio, gc, sys, time
from otel_tts.recording.loops import watch
watch.REPORTED_NS = 300_000_000
lates = []
one = watch.LoopWatch(lambda: False, lates.append)
one.allow()
gc.disable()
class Node:
    pass
def tangle(count):
    kept = []
    for _ in range(count):
        node = Node(); node.me = node
        kept.append(node)
    return kept
async def main():
    one.note(asyncio.get_running_loop())
    kept = tangle(1_500_000)
    await asyncio.sleep(1.5)
    lates.clear()
    deadline = time.monotonic() + 60
    while "gc" not in [late.cause for late in lates] and time.monotonic() < deadline:
        began = time.perf_counter()
        while time.perf_counter() - began < 0.8:
            gc.collect()
        await asyncio.sleep(0.5)
    print({late.cause for late in lates}, flush=True)
asyncio.run(main())
"""


def test_garbage_collection_is_told_from_code() -> None:
    done = subprocess.run([sys.executable, "-c", _COLLECTING], capture_output=True, text=True, timeout=120)
    assert "gc" in done.stdout, done.stdout + done.stderr

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The trace and the request go along into threads, pools and loops, and do not stay there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import queue
import threading
from collections.abc import Callable

import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard
from otel_tts.instrumentation.libraries import threads
from otel_tts.recording import request
from otel_tts.recording.synthesis import current

OWN: contextvars.ContextVar = contextvars.ContextVar("the application's own", default="default")


@pytest.fixture(autouse=True)
def carried_threads():
    start, submit = vars(threading.Thread)["start"], vars(concurrent.futures.ThreadPoolExecutor)["submit"]
    threads.install()
    yield
    threads.uninstall()
    assert vars(threading.Thread)["start"] is start
    assert vars(concurrent.futures.ThreadPoolExecutor)["submit"] is submit


def look() -> tuple:
    """What code sees of us: the span, the synthesis, the request; and a variable of its own, which is not ours."""
    return trace.get_current_span(), current(), request.current.get(), OWN.get()


NOTHING = (trace.INVALID_SPAN, None, None, "default")


def by_thread(seen: Callable[[], None]) -> None:
    thread = threading.Thread(target=seen)
    thread.start()
    thread.join()


def by_subclass(seen: Callable[[], None]) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            seen()

    worker = Worker()
    worker.start()
    worker.join()
    assert "run" not in vars(worker)


def by_timer(seen: Callable[[], None]) -> None:
    timer = threading.Timer(0, seen)
    timer.start()
    timer.join()


def by_submit(seen: Callable[[], None]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(seen).result()


def by_map(seen: Callable[[], None]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: seen(), [1]))


def by_executor_of_a_loop(seen: Callable[[], None]) -> None:
    async def main(context: contextvars.Context) -> None:
        await context.run(asyncio.get_running_loop().run_in_executor, None, seen)

    asyncio.run(main(contextvars.copy_context()))


def by_to_thread(seen: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.to_thread(seen)

    asyncio.run(main())


def by_queue(seen: Callable[[], None]) -> None:
    jobs: queue.Queue = queue.Queue()
    worker = threading.Thread(target=lambda: jobs.get()(), name="started elsewhere")
    contextvars.Context().run(worker.start)
    jobs.put(otel_tts.carried(seen))
    worker.join()


WAYS = [
    by_thread, by_subclass, by_timer, by_submit, by_map, by_executor_of_a_loop, by_to_thread, by_queue,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_trace_and_request_are_carried(world, way) -> None:
    here, seen = world(), []
    web = request.Request("web-1", 0)
    token = request.current.set(web)
    try:
        with here.synthesis() as synthesis, synthesis.stage("model") as stage:
            way(lambda: seen.append(look()))
    finally:
        request.current.reset(token)
    assert [one[:3] for one in seen] == [(stage, synthesis, web)]
    assert not guard.faults


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_outside_of_a_request_nothing_is_carried(way) -> None:
    seen: list = []
    way(lambda: seen.append(look()))
    assert seen == [NOTHING]


def test_the_applications_own_variables_are_not_touched(world) -> None:
    here, seen = world(), []
    token = OWN.set("changed")
    try:
        with here.synthesis():
            by_thread(lambda: seen.append(look()))
    finally:
        OWN.reset(token)
    assert seen[0][3] == "default"


def test_a_pools_thread_that_a_request_started_forgets_it(world) -> None:
    here = world()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with here.synthesis() as first:
            assert pool.submit(look).result()[1] is first
        assert pool.submit(look).result() == NOTHING
        with here.synthesis() as second:
            assert pool.submit(look).result()[1] is second
        assert pool.submit(contextvars.Context().run, look).result() == NOTHING


def test_a_pools_own_context_is_what_an_initializer_made_it(world) -> None:
    here = world()
    with here.synthesis(), concurrent.futures.ThreadPoolExecutor(1, initializer=lambda: OWN.set("pool")) as pool:
        assert pool.submit(look).result()[3] == "pool"


def test_an_exception_in_a_thread_is_the_applications(world, monkeypatch) -> None:
    here, raised = world(), []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    error = RuntimeError("x")

    def fail() -> None:
        raise error

    with here.synthesis():
        by_thread(fail)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(fail).exception() is error
    assert raised == [error]
    assert not guard.faults


def test_arguments_and_results_pass_through(world) -> None:
    here = world()
    with here.synthesis(), concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert pool.submit(int, "11", base=2).result() == 3
        assert list(pool.map(pow, [2, 3], [3, 2])) == [8, 9]
        with pytest.raises(TypeError):
            pool.submit()


def test_a_thread_can_be_started_once_as_ever(world) -> None:
    here = world()
    with here.synthesis():
        thread = threading.Thread(target=look)
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        thread.join()


def test_a_fault_of_ours_starts_the_thread_all_the_same(world, monkeypatch) -> None:
    here, seen = world(), []

    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    with here.synthesis():
        monkeypatch.setattr(threads, "carried", broken)
        by_thread(lambda: seen.append(1))
        by_submit(lambda: seen.append(2))
    assert seen == [1, 2]
    assert guard.faults == {"carrier": 2}


def test_installing_twice_wraps_once() -> None:
    wrapped = vars(threading.Thread)["start"]
    threads.install()
    assert vars(threading.Thread)["start"] is wrapped

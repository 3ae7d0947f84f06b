# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from otel_tts import guard
from otel_tts.background import Worker, run_beside


def workers(*names: str) -> dict[str, Worker]:
    return {name: Worker(f"test-{name}", f"place.{name}") for name in names}


def test_jobs_run_side_by_side_and_the_late_ones_are_named() -> None:
    crew, together, never = workers("a", "b", "c"), threading.Barrier(2), threading.Event()
    jobs = {"a": lambda: together.wait(10), "b": lambda: together.wait(10), "c": lambda: never.wait(60)}
    assert run_beside(crew, jobs, 1) == ["c"]
    assert run_beside(crew, {"a": lambda: 1}, 10) == []  # one that hangs holds up its own name only
    never.set()
    assert run_beside(crew, {"c": lambda: 1}, 10) == []


def test_a_failing_job_is_contained_counted_and_done() -> None:
    assert run_beside(workers("a"), {"a": lambda: 1 / 0}, 10) == []
    assert guard.faults["place.a"] == 1


def test_jobs_are_done_in_their_order_by_one_thread() -> None:
    worker, done = Worker("test", "test"), []
    for number in range(100):
        worker.put(lambda number=number: done.append((number, threading.current_thread().name)))
    assert worker.idle(10)
    assert done == [(number, "test") for number in range(100)] and worker.open == 0


def test_a_worker_that_is_renewed_hands_back_what_nobody_has_begun() -> None:
    worker, begun, go, done = Worker("test", "test"), threading.Event(), threading.Event(), []
    worker.put(lambda: (begun.set(), go.wait(60)))
    assert begun.wait(10)
    waiting = [lambda: done.append(1), lambda: done.append(2)]
    for job in waiting:
        worker.put(job)
    assert not worker.idle(0.01)
    assert worker.renew() == waiting
    go.set()
    worker.put(lambda: done.append(3))
    assert worker.idle(10) and done == [3]


def test_while_a_job_hangs_nothing_is_asked() -> None:
    worker, go = Worker("test", "test"), threading.Event()
    assert worker.ask(0.02, go.wait) is None
    assert worker.ask(10, lambda: 7) is None
    go.set()
    assert worker.idle(10)
    assert worker.ask(10, lambda: 7) == 7


def test_where_no_thread_can_be_had_the_question_is_asked_here_and_jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    worker, done = Worker("test", "test"), []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert worker.ask(1, lambda: 7) == 7
        with pytest.raises(RuntimeError):
            worker.put(lambda: done.append(1))
    worker.put(lambda: done.append(2))
    assert worker.idle(10) and done == [1, 2]


def test_an_idle_worker_keeps_nothing_alive() -> None:
    import weakref

    class Held:
        def __call__(self) -> None:
            pass

    worker, held = Worker("test", "test"), Held()
    gone = weakref.ref(held)
    assert worker.put(held).wait(10)
    del held
    deadline = time.monotonic() + 10
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone() is None

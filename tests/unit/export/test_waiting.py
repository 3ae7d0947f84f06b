# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Batches that the receiver wants later: kept in order and within a bound, sent when due, given up with the exit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from otel_tts.export import waiting
from otel_tts.export.answers import Answer
from otel_tts.export.post import Outcome
from otel_tts.export.waiting import Batch, Waiting

TAKEN = Outcome(Answer(200))
LATER = Outcome(Answer(429, asked=0.0), tries=6)
DOWN = Outcome(error="[Errno 111] Connection refused", tries=6)
REFUSED = Outcome(Answer(400))


class Far:
    """What is sent to: answers as told, and tells what came."""

    def __init__(self, most_bytes: int = 100) -> None:
        self.answers: list[Outcome] = []
        self.sent: list[bytes] = []
        self.lost: list[tuple[int, str]] = []
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.waiting = Waiting(
            "spans", "there", most_bytes, self._send, lambda lost, why: self.lost.append((lost, why))
        )

    def _send(self, batch: Batch) -> Outcome:
        self.sent.append(batch.body)
        self.reached.set()
        self.go_on.wait(30)
        return self.answers.pop(0) if self.answers else TAKEN


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SOONEST_S", 0.05)
    monkeypatch.setattr(waiting, "_OWN_PAUSE_S", 0.05)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_they_are_sent_in_order_when_due_and_the_thread_ends() -> None:
    far = Far()
    far.waiting.add(Batch(b"1", 3), 0.3)
    far.waiting.add(Batch(b"2", 4))
    assert far.waiting.items == 7 and far.sent == []
    until(lambda: not far.waiting.items)
    assert (far.sent, far.lost) == ([b"1", b"2"], [])
    until(lambda: not any(thread.name == "otel-tts-spans-waiting" for thread in threading.enumerate()))
    far.waiting.add(Batch(b"3", 1), 0)
    until(lambda: far.sent == [b"1", b"2", b"3"])


def test_later_still_and_a_receiver_that_is_gone_cost_nothing() -> None:
    far = Far()
    far.answers += [LATER, DOWN, LATER, TAKEN]
    far.waiting.add(Batch(b"1", 1), 0)
    far.waiting.add(Batch(b"2", 1))
    until(lambda: not far.waiting.items)
    assert (far.sent, far.lost) == ([b"1", b"1", b"1", b"1", b"2"], [])


def test_what_is_refused_in_the_end_is_lost_and_counted() -> None:
    far = Far()
    far.answers += [REFUSED]
    far.waiting.add(Batch(b"1", 5), 0)
    far.waiting.add(Batch(b"2", 1))
    until(lambda: far.sent == [b"1", b"2"])
    until(lambda: far.lost == [(5, "export_failed")])


def test_beyond_the_bound_the_oldest_go_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    far = Far(most_bytes=100)
    far.waiting.add(Batch(bytes(40), 1), 3600)
    for items in (2, 3, 4):
        far.waiting.add(Batch(bytes(40), items))
    assert far.waiting.items == 3 + 4
    assert far.lost == [(1, "waiting_full"), (2, "waiting_full")]
    assert [r.message for r in caplog.records] == [
        "otel-tts: 1 spans waiting for there were dropped, the oldest: no more than OTEL_TTS_EXPORT_BYTES=100 wait"
    ]
    far.waiting.add(Batch(bytes(101), 9))
    assert far.waiting.items == 0 and sum(lost for lost, _ in far.lost) == 1 + 2 + 3 + 4 + 9


def test_what_is_being_sent_counts_and_is_not_sent_twice() -> None:
    far = Far(most_bytes=100)
    far.go_on.clear()
    far.waiting.add(Batch(bytes(60), 1), 0)
    assert far.reached.wait(30)
    far.waiting.add(Batch(bytes(60), 2))
    assert far.waiting.items == 1 and far.lost == [(2, "waiting_full")]
    far.go_on.set()
    until(lambda: not far.waiting.items)
    assert len(far.sent) == 1


def test_the_end_waits_for_what_is_due_by_then() -> None:
    far = Far()
    far.waiting.add(Batch(b"1", 1), 0.3)
    far.waiting.end(30)
    assert (far.sent, far.lost, far.waiting.items) == ([b"1"], [], 0)


def test_the_end_gives_up_at_once_what_is_due_later() -> None:
    far = Far()
    far.waiting.add(Batch(b"1", 2), 3600)
    far.waiting.add(Batch(b"2", 3))
    began = time.monotonic()
    far.waiting.end(30)
    assert time.monotonic() - began < 20
    assert (far.sent, far.lost, far.waiting.items) == ([], [(5, "export_failed")], 0)


def test_what_comes_after_the_end_is_lost_and_counted() -> None:
    far = Far()
    far.waiting.end(1)
    far.waiting.add(Batch(b"1", 2), 3600)
    assert (far.lost, far.waiting.items) == ([(2, "export_failed")], 0)


def test_the_end_does_not_wait_for_a_receiver_that_hangs() -> None:
    far = Far()
    far.go_on.clear()
    far.waiting.add(Batch(b"1", 2), 0)
    assert far.reached.wait(30)
    far.waiting.end(0.2)
    assert far.lost == [(2, "export_failed")]
    far.go_on.set()
    until(lambda: not far.waiting.items)
    assert far.lost == [(2, "export_failed")]


def test_without_threads_the_end_sends_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_starts(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", none_starts)
    far = Far()
    far.waiting.add(Batch(b"1", 1), 0.1)
    far.waiting.add(Batch(b"2", 1))
    far.waiting.end(30)
    assert (far.sent, far.lost) == ([b"1", b"2"], [])


def test_a_fault_costs_its_batch() -> None:
    far = Far()

    def fails(batch: Batch) -> Outcome:
        raise RuntimeError

    far.waiting._send = fails
    far.waiting.add(Batch(b"1", 2), 0)
    until(lambda: far.lost == [(2, "export_failed")])

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How often the thread looks: often while there is something to do, seldom while there is not."""

from __future__ import annotations

import threading
import time

import pytest

from otel_tts.emit import pace
from otel_tts.emit.emitter import Emitter


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert condition()


@pytest.fixture
def looks(monkeypatch) -> list[float]:
    """The times of all drains."""
    times: list[float] = []
    drain = Emitter.drain

    def note(self, *args, **kwargs) -> bool:
        times.append(time.monotonic())
        return drain(self, *args, **kwargs)

    monkeypatch.setattr(Emitter, "drain", note)
    return times


@pytest.fixture
def never(monkeypatch) -> None:
    """Between two looks in silence lies an hour."""
    monkeypatch.setattr(pace, "SILENT_S", 3600.0)


def test_without_requests_it_soon_looks_no_more(world, looks, never) -> None:
    here = world(interval=0.001)
    wait_until(lambda: here.recorder.asleep)
    found = len(looks)
    assert found >= pace._SILENT_AFTER
    time.sleep(0.1)
    assert len(looks) == found


def test_in_silence_it_goes_on_looking(world, looks, monkeypatch) -> None:
    monkeypatch.setattr(pace, "SILENT_S", 0.01)
    here = world(interval=0.001)
    wait_until(lambda: here.recorder.asleep)
    found = len(looks)
    wait_until(lambda: len(looks) > found + 5)


def test_the_first_request_after_a_silence_is_announced_while_it_runs(world, never) -> None:
    here = world(interval=0.001)
    wait_until(lambda: here.recorder.asleep)
    with here.synthesis():
        wait_until(lambda: any("REQ_START" in line for line in here.lines()))
        assert not here.recorder.asleep
    wait_until(lambda: len(here.spans) == 1)


def test_only_the_first_request_after_a_silence_calls_the_thread(world, monkeypatch, never) -> None:
    here = world(interval=0.001)
    calls: list[None] = []
    call = here.emitter.wake
    monkeypatch.setattr(here.emitter, "wake", lambda: (calls.append(None), call()))
    for _ in range(2):
        wait_until(lambda: here.recorder.asleep)
        for _ in range(5):
            with here.synthesis():
                pass
    assert len(calls) == 2


def test_it_looks_as_ever_while_a_request_is_open_or_something_waits(world, looks, never) -> None:
    here = world(interval=0.001)
    with here.synthesis() as synthesis:
        time.sleep(0.05 + 2 * pace._SILENT_AFTER * 0.001)
        found = len(looks)
        wait_until(lambda: len(looks) > found + pace._SILENT_AFTER)
        assert not here.recorder.asleep
    with synthesis.stage("postprocess"):  # and is kept for a second
        pass
    wait_until(lambda: "tts.postprocess" in here.names())


def test_closing_ends_its_silence(world, never) -> None:
    before = set(threading.enumerate())
    here = world(interval=0.001)
    (thread,) = set(threading.enumerate()) - before
    wait_until(lambda: here.recorder.asleep)
    here.emitter.close()
    thread.join(20)
    assert not thread.is_alive()


def test_a_request_that_begins_as_the_thread_falls_asleep_is_seen(world, never) -> None:
    here = world(interval=0.0005)
    for number in range(30):
        wait_until(lambda: here.recorder.asleep)
        with here.synthesis(request_id=f"a{number}"):
            pass
        time.sleep(number % 10 * 0.0005)
        with here.synthesis(request_id=f"b{number}"):
            pass
        wait_until(lambda: len(here.recorder.finished) == 0)
    wait_until(lambda: len(here.spans) == 60)

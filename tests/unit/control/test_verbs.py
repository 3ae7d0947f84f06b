# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the verbs answer: outcomes by id, open stages and whether they move, an emptied cache."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest

from otel_tts import guard
from otel_tts.control.cache import empty_cache
from otel_tts.control.progress import Progress
from otel_tts.device.torch.graphs import guard as captures
from otel_tts.emit.outcomes import MOST
from tests.unit.support.controlled import ask


def test_the_outcome_of_a_request_is_told_by_its_id(controlled) -> None:
    here, server = controlled()
    open_one = here.synthesis(request_id="open").start()
    with pytest.raises(RuntimeError), here.synthesis(request_id="bad"):
        raise RuntimeError("purple otter")
    with here.synthesis(request_id="good") as synthesis:
        synthesis.audio([0.5, -0.5] * 8000, 16000)
    assert ask(server.path, "status good") == {"state": "ending"}
    here.emitter.drain()
    said = ask(server.path, "status good")
    assert (said["state"], said["outcome"], said["audio_s"], said["syntheses"]) == ("finished", "ok", 1.0, 1)
    bad = ask(server.path, "status bad")
    assert (bad["outcome"], bad["error_type"]) == ("error", "RuntimeError")
    assert "otter" not in str(bad)
    assert ask(server.path, "status open")["state"] == "open"
    assert ask(server.path, "status never") == {"state": "unknown"}
    assert "error" in ask(server.path, "status") and "error" in ask(server.path, "status a b")
    open_one.finish()


def test_of_several_syntheses_the_worst_counts(controlled) -> None:
    here, server = controlled()
    for outcome in ("ok", "error", "ok"):
        with here.synthesis(request_id="r", tts__outcome=outcome):
            pass
    here.emitter.drain()
    said = ask(server.path, "status r")
    assert (said["outcome"], said["syntheses"]) == ("error", 3)


def test_the_latest_ten_thousand_are_kept(controlled) -> None:
    here, server = controlled(queue_size=20_000)
    for number in range(MOST + 5):
        here.synthesis(request_id=f"r{number}").start().finish()
    here.emitter.drain(breathe=False)
    assert [ask(server.path, f"status r{number}")["state"] for number in (4, 5, MOST + 4)] == [
        "unknown", "finished", "finished",
    ]  # fmt: skip


def test_a_name_of_a_stage_that_is_a_sentence_does_not_leave(controlled) -> None:
    here, server = controlled()
    with here.synthesis() as synthesis, synthesis.stage("the purple otter"):
        said = ask(server.path, "health")
    assert [stage["stage"] for stage in said["stages"]] == ["redacted"]
    assert "otter" not in str(said)


class Turning:
    """A thread with a stage open; what it does is for the test to say."""

    def __init__(self, here, work) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self._here, self._work = here, work
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.begun.wait(10)

    def _run(self) -> None:
        with self._here.synthesis() as synthesis, synthesis.stage("acoustic_model"):
            self.begun.set()
            self._work(self.go)

    def end(self) -> None:
        self.go.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def wait(go: threading.Event) -> None:
    go.wait(60)


def turn(go: threading.Event) -> None:
    """A loop that is at the same place whenever somebody looks: in one call that computes."""
    while not go.is_set():
        zlib.compress(DATA)


def let_a_child(go: threading.Event) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        go.wait(60)
        child.kill()


DATA = bytes(range(256)) * 4000


def look_for(progress: Progress, is_so, seconds: float = 30.0):
    """Look until `is_so`, in which the stages are told of."""
    until = time.monotonic() + seconds
    while not is_so(found := progress.look()):
        assert time.monotonic() < until, found
        time.sleep(0.3)
    return found


@pytest.mark.parametrize("works", [turn, let_a_child])
def test_a_thread_that_waits_is_still_and_one_that_computes_is_not(world, works) -> None:
    here = world()
    progress = Progress(here.recorder)
    hung = Turning(here, wait)
    look_for(progress, lambda found: found[0].still_s > 0.6)
    assert progress.moved_s is None
    working = Turning(here, works)
    if works is turn:
        first, second = look_for(progress, lambda found: found[1].quiet_s > 1)
        assert first.still_s > second.still_s
    look_for(progress, lambda found: progress.moved_s is not None and progress.moved_s < 0.1)
    working.end()
    hung.end()


def test_a_thread_that_moves_on_without_computing_is_not_still(world) -> None:
    def step(go: threading.Event) -> None:
        go.wait(0.05)
        while not go.wait(0.07):
            go.wait(0.05)

    here = world()
    progress = Progress(here.recorder)
    stepping = Turning(here, step)
    look_for(progress, lambda found: progress.moved_s is not None)
    stepping.end()


def test_chunks_and_ended_stages_are_progress_and_an_arrival_is_none(world, clock) -> None:
    here = world()
    progress = Progress(here.recorder, now=lambda: clock.ns)
    synthesis = here.synthesis().start()
    open_stage = synthesis.stage("acoustic_model").open()
    progress.look()
    clock.ns += 30 * 10**9
    (stage,) = progress.look()
    assert (stage.age_s, stage.still_s, stage.quiet_s) == (30, 30, 30)
    late = here.synthesis(request_id="late").start()
    queued = late.stage("queue").open()
    progress.look()
    assert progress.moved_s is None
    synthesis.chunk([0.1] * 10, 16000)
    clock.ns += 10**9
    (stage, _) = progress.look()
    assert (stage.still_s, stage.quiet_s, progress.moved_s) == (0, 0, 0)
    clock.ns += 7 * 10**9
    assert [s.still_s for s in progress.look()] == [7, 8] and progress.moved_s == 7
    for one in (open_stage, queued):
        one.close()


def test_torch_is_not_imported_and_nothing_is_emptied_without_it(controlled) -> None:
    _, server = controlled()
    assert ask(server.path, "empty-cache") == {"emptied": False, "reason": "torch has no device in use here"}
    assert "torch" not in sys.modules


@pytest.fixture
def caching(torch, device):
    """A torch whose allocator holds 100 MB that no tensor uses."""
    device.initialized = True
    block = device.devs[0].mem.alloc(100 * 2**20)
    device.devs[0].mem.free(block)
    return torch


def test_the_cache_is_emptied_in_a_moment_without_an_open_stage(controlled, caching) -> None:
    here, server = controlled()
    synthesis = here.synthesis().start()
    stage = synthesis.stage("vocoder").open()
    said = []
    asking = threading.Thread(target=lambda: said.append(ask(server.path, "empty-cache")))
    asking.start()
    time.sleep(0.05)
    assert not said  # it waits
    stage.close()
    asking.join(10)
    assert said[0]["emptied"] and said[0]["freed"] >= 100 * 2**20
    assert ask(server.path, "empty-cache")["freed"] == 0


def test_a_stage_that_stays_open_and_a_capture_keep_the_cache(world, caching) -> None:
    here = world()
    stage = here.synthesis().start().stage("vocoder").open()
    assert empty_cache(here.recorder, 0.02)["reason"] == "there was no moment without an open stage"
    stage.close()
    graph = Graph()
    captures.begin(graph)
    assert not empty_cache(here.recorder, 0.02)["emptied"]
    captures.end(graph)
    assert empty_cache(here.recorder, 0.02)["emptied"]


class Graph:
    pass


def test_an_error_of_a_verb_is_contained(controlled, caching) -> None:
    _, server = controlled()
    caching.cuda.empty_cache = None
    before = guard.faults["control"]
    assert ask(server.path, "empty-cache") is None
    assert guard.faults["control"] == before + 1
    assert "pid" in ask(server.path, "health")


def test_an_event_loop_that_is_blocked_is_told(controlled) -> None:
    here, server = controlled()
    seen = threading.Event()

    def wait_until_it_is_told() -> None:
        while (ask(server.path, "health")["loop_lag_s"] or 0) < 0.1:
            time.sleep(0.01)
        seen.set()

    async def block() -> bool:
        here.recorder.loops.allow()
        with here.synthesis():
            here.recorder.loops.note(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return seen.wait(30)

    assert ask(server.path, "health")["loop_lag_s"] is None
    asking = threading.Thread(target=wait_until_it_is_told, daemon=True)
    asking.start()
    assert asyncio.run(block())
    asking.join(30)
    here.recorder.loops.stop()


def test_health_has_the_memory_of_the_process_and_of_its_devices(controlled, folder: Path) -> None:
    _, server = controlled()
    said = ask(server.path, "health")
    assert said["memory"] > 2**20 and said["gpus"] == [] and said["open"] == 0

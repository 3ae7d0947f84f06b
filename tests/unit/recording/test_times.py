# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Latencies and ratios by a set clock: what counts from when, and what does not count."""

from __future__ import annotations

import numpy as np
import pytest

import otel_tts
from otel_tts.engines.table import Chunk, Engine, Entry
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.recording import request

RATE = 16000
ENGINE = Engine(name="e", module="m", distribution="d", entries=())
ENTRY = Entry("f", chunk=Chunk(), sample_rate=RATE)


def tone(seconds: float) -> np.ndarray:
    return (0.5 * np.sin(np.arange(round(RATE * seconds)) / 20)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(RATE * seconds), np.float32)


def root(world) -> dict:
    return dict(world.drain().spans[-1].attributes)


@pytest.fixture
def web(clock):
    """A web request that came in half a second ago."""
    token = request.current.set(request.Request("web-1", clock.ns - 500_000_000))
    yield
    request.current.reset(token)


def test_times_count_from_the_web_request(world, clock, web) -> None:
    here = world()
    with otel_tts.synthesis("m") as synthesis:
        clock.tick(0.1)
        synthesis.chunk(np.concatenate([silence(0.25), tone(0.5)]), RATE)
    attributes = root(here)
    assert attributes["request_id"] == "web-1"
    assert attributes["tts.time_to_first_byte"] == pytest.approx(0.6)
    assert attributes["tts.time_to_first_audio"] == pytest.approx(0.85)


def test_times_count_from_the_synthesis_without_one(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        clock.tick(0.1)
        synthesis.chunk(tone(0.5), RATE)
        clock.tick(0.1)
        synthesis.chunk(tone(0.5), RATE)
    attributes = root(here)
    assert attributes["tts.time_to_first_byte"] == pytest.approx(0.1)
    assert attributes["tts.time_to_first_audio"] == pytest.approx(0.1)


def test_silent_audio_has_a_first_byte_and_no_first_audio(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        synthesis.chunk(silence(1), RATE)
    attributes = root(here)
    assert attributes["tts.time_to_first_byte"] == 0.0
    assert "tts.time_to_first_audio" not in attributes
    assert here.points("tts.time_to_first_audio") == {}
    assert attributes["tts.outcome"] == "anomalous"


def test_an_empty_chunk_is_no_first_byte(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        synthesis.chunk(silence(0), RATE)
        clock.tick(0.2)
        synthesis.chunk(tone(0.5), RATE)
    assert root(here)["tts.time_to_first_byte"] == pytest.approx(0.2)


def test_without_audio_there_are_no_times_and_no_ratio(world, clock) -> None:
    here = world()
    with here.synthesis():
        clock.tick(1)
    assert not [name for name in root(here) if name.startswith(("tts.time", "tts.real", "tts.audio", "tts.stream"))]


def test_the_ratio_leaves_out_what_the_caller_does_between_chunks(world, clock) -> None:
    here = world()

    def engine():
        for _ in range(4):
            clock.tick(0.1)
            yield tone(0.5)
        clock.tick(0.1)

    for _ in call_entry(Plan(ENGINE, ENTRY), engine, None, (), {}):
        clock.tick(10)
    attributes = root(here)
    assert attributes["tts.audio.duration"] == 2.0
    assert attributes["tts.real_time_factor"] == pytest.approx(0.5 / 2.0)
    assert here.points("tts.request.duration") == {("e", "ok"): (1, 40.5)}


def test_the_ratio_leaves_out_waiting_in_the_queue(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis:
        with synthesis.stage("queue"):
            clock.tick(5)
        clock.tick(1)
        synthesis.audio(tone(2), RATE)
    assert root(here)["tts.real_time_factor"] == pytest.approx(0.5)
    assert here.points("tts.queue.duration") == {("e",): (1, 5.0)}
    assert here.points("tts.stage.duration") == {}


def test_cleaning_up_counts_as_the_engines_time(world, clock) -> None:
    here = world()

    def engine():
        try:
            clock.tick(0.1)
            yield tone(1)
        finally:
            clock.tick(0.3)

    stream = call_entry(Plan(ENGINE, ENTRY), engine, None, (), {})
    next(stream)
    clock.tick(7)
    stream.close()
    assert root(here)["tts.real_time_factor"] == pytest.approx(0.4)


def test_a_player_that_runs_dry(world, clock) -> None:
    here = world()

    def engine():
        yield tone(0.2)
        clock.tick(0.5)
        yield tone(0.2)
        clock.tick(0.1)
        yield tone(0.2)

    list(call_entry(Plan(ENGINE, ENTRY), engine, None, (), {}))
    attributes = root(here)
    assert attributes["tts.stream.underrun"] == pytest.approx(0.3)
    assert attributes["tts.stream.continuous"] is False
    assert attributes["tts.stream.chunks"] == 3
    assert here.points("tts.stream.underrun") == {("e",): (1, 0.3)}


def test_a_clock_that_is_set_meanwhile_tears_no_trace(world, clock, monkeypatch) -> None:
    import time

    here = world()
    with monkeypatch.context() as patched, here.synthesis() as synthesis, synthesis.stage("model"):
        clock.tick(0.1)
        patched.setattr(time, "time_ns", lambda: 0)  # undone before the clock leaves
        synthesis.add_event("e")
        clock.tick(0.1)
    here.drain()
    stage, whole = here.shown_spans()
    assert stage["ms"] == whole["ms"] == (0.0, 200.0)
    assert whole["events"][0][1] == 100.0


def test_a_streams_stage_says_how_long_it_really_ran(world, clock) -> None:
    here = world()

    @otel_tts.stage("vocoder")
    def vocoder():
        for _ in range(3):
            clock.tick(0.1)
            yield tone(0.1)

    with here.synthesis():
        for _ in vocoder():
            clock.tick(1)
    here.drain()
    attributes = here.span("tts.vocoder").attributes
    assert attributes["tts.stage.host_duration"] == pytest.approx(0.3)
    assert here.shown_spans()[0]["ms"] == (0.0, 3300.0)

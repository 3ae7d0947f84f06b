# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Work for nobody: an engine that goes on after its listener has left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import otel_tts
from otel_tts.recording import request
from otel_tts.recording.request import Request

LOST = "tts.abandoned.duration"


def leave(world: Any) -> None:
    """What the edge does when a stream's client has gone."""
    (synthesis,) = world.recorder.open.values()
    synthesis.finish(GeneratorExit())


def abandoned(world: Any) -> Any:
    world.drain()
    (span,) = (span for span in world.spans if span.name == "tts.abandoned")
    return span


def test_an_engine_on_a_thread_that_outlives_its_listener(world, clock) -> None:
    here = world()

    @otel_tts.synthesis("m", engine="e")
    def engine(text: str) -> None:
        clock.tick(1.0)
        leave(here)
        here.drain()  # the synthesis has left by then
        clock.tick(2.5)

    engine("x")
    span, (synthesis, *_) = abandoned(here), here.spans
    assert synthesis.name == "text_to_speech m" and synthesis.attributes["tts.outcome"] == "cancelled"
    assert span.attributes[LOST] == pytest.approx(2.5)
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(2.5)
    assert (span.context.trace_id, span.parent.span_id) == (synthesis.context.trace_id, synthesis.context.span_id)
    assert span.attributes["request_id"] == synthesis.attributes["request_id"]
    assert here.points(LOST) == {("m", "e"): 2.5}
    assert here.lines()[-1].startswith("WARN REQ_ABANDONED request_id=") and "abandoned=2.5" in here.lines()[-1]


def test_a_stream_that_goes_on_counts_what_it_worked(world, clock) -> None:
    """Not the time in which it waited to be asked for more; and one span, however many chunks."""
    here = world()

    @otel_tts.synthesis("m", engine="e", sample_rate=16000)
    def engine(text: str) -> Any:
        for _ in range(4):
            clock.tick(0.5)
            yield [0.1] * 1600

    stream = engine("x")
    next(stream)
    leave(here)
    for _ in stream:
        clock.tick(10.0)
    assert abandoned(here).attributes[LOST] == pytest.approx(1.5)


def test_an_async_stream_too(world, clock) -> None:
    here = world()

    @otel_tts.synthesis("m", engine="e", sample_rate=16000)
    async def engine(text: str) -> Any:
        for _ in range(3):
            clock.tick(0.5)
            yield [0.1] * 1600

    async def main() -> None:
        async for _ in engine("x"):
            if here.recorder.open:
                leave(here)

    asyncio.run(main())
    assert abandoned(here).attributes[LOST] == pytest.approx(1.0)


def test_one_that_stops_with_its_listener_has_lost_nothing(world, clock) -> None:
    here = world()

    @otel_tts.synthesis("m", engine="e", sample_rate=16000)
    def engine(text: str) -> Any:
        while True:
            clock.tick(0.5)
            yield [0.1] * 1600

    stream = engine("x")
    next(stream)
    leave(here)
    stream.close()
    here.drain()
    assert [span.name for span in here.spans] == ["text_to_speech m"]
    assert here.points(LOST) == {}


def speak_for(world: Any, clock: Any, web: Request, leaves_after: float | None) -> Any:
    """Two seconds of work for a request whose client may leave meanwhile, as the server's flag says."""
    gone = False
    web.is_gone = lambda: gone
    token = request.current.set(web)
    try:
        with world.synthesis(gen_ai__request__model="m"):
            clock.tick(leaves_after or 0.0)
            gone = leaves_after is not None
            world.emitter._look_for_clients()
            clock.tick(2.0 - (leaves_after or 0.0))
            world.emitter._look_for_clients()
    finally:
        request.current.reset(token)
    web.end(clock.ns, left=gone)
    world.drain()
    return world.spans[-1].attributes


def test_a_plain_answer_whose_client_had_left(world, clock) -> None:
    """The server tells of it when the answer is sent; that it had left was seen before."""
    here = world()
    said = speak_for(here, clock, Request("r", clock.ns, answers=True), leaves_after=0.5)
    assert said["tts.outcome"] == "cancelled" and said[LOST] == pytest.approx(1.5)
    assert here.points(LOST) == {("m", "e"): 1.5}
    assert "abandoned=1.5" in here.lines()[-1]


def test_a_plain_answer_that_was_heard(world, clock) -> None:
    said = speak_for(world(), clock, Request("r", clock.ns, answers=True), leaves_after=None)
    assert said["tts.outcome"] == "ok" and LOST not in said

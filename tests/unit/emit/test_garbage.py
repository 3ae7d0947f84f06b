# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A request leaves nothing to the cyclic collector, whose runs stop every thread for as long as records wait."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator

import pytest

import otel_tts
from otel_tts.record import LateSpan
from otel_tts.recording import request
from otel_tts.recording.request import Request
from otel_tts.recording.stages import Stages
from tests.unit.support.world import World

OURS = (LateSpan, Stages, Request)


def plain(here: World) -> None:
    with here.synthesis() as synthesis:
        synthesis.add_event("said", {"n": 1})
        with synthesis.stage("model"), synthesis.stage("vocoder"):
            pass
    with synthesis.stage("postprocess"):
        pass


def failing(here: World) -> None:
    try:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            raise ValueError("no")
    except ValueError:
        pass


def folded(here: World) -> None:
    with here.synthesis() as synthesis:
        for _ in range(here.settings.max_stage_spans + 20):
            with synthesis.stage("model"):
                pass


def with_sound(here: World) -> None:
    with here.synthesis() as synthesis:
        synthesis.chunk(b"\1\2" * 2400, 24000, encoding="pcm16")


def in_a_task(here: World) -> None:
    async def speak() -> None:
        async with here.synthesis() as synthesis, synthesis.stage("model"):
            await asyncio.sleep(0)

    asyncio.run(speak())


def of_a_web_request(here: World) -> None:
    token = request.current.set(Request("web", 0))
    try:
        plain(here)
    finally:
        request.current.reset(token)


def in_a_batch(here: World) -> None:
    with here.synthesis() as synthesis, otel_tts.batch("model", [synthesis]):
        pass


def closed(here: World) -> None:
    here.emitter.close()
    plain(here)


KINDS = [plain, failing, folded, with_sound, in_a_task, of_a_web_request, in_a_batch, closed]


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[str]]]:
    """What only the collector can free since the test began, as the names of our records' types."""
    gc.collect()
    gc.disable()
    others = {id(thing) for thing in gc.get_objects() if isinstance(thing, OURS)}  # what an earlier test still holds

    def found() -> list[str]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            ours = [thing for thing in gc.garbage if isinstance(thing, OURS) and id(thing) not in others]
            return [type(thing).__name__ for thing in ours]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    yield found
    gc.enable()


@pytest.mark.parametrize("kind", KINDS)
def test_a_drained_request_leaves_nothing_to_the_collector(world, garbage, kind) -> None:
    here = world()
    kind(here)
    here.drain()
    assert here.spans and garbage() == []


@pytest.mark.parametrize("kind", [plain, failing, of_a_web_request])
def test_a_request_that_the_full_queue_refuses_leaves_nothing_either(world, garbage, kind) -> None:
    here = world(queue_size=0)
    kind(here)
    here.drain()
    assert here.recorder.dropped["queue_full"] and not here.spans and garbage() == []


def test_a_record_that_nobody_unlinks_would_be_found(world, garbage, monkeypatch) -> None:
    monkeypatch.setattr(LateSpan, "unlink", lambda _: None)
    here = world()
    plain(here)
    here.drain()
    assert garbage()

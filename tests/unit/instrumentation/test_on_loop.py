# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine on an event loop's thread is marked, and one line says what to change; one that is awaited is not."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

import pytest

import otel_tts
from otel_tts.instrumentation.calls import on_loop

BLOCKED = "tts.event_loop.blocked"


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_loop, "_times", itertools.count())


def make(clock: Any, seconds: float) -> dict[str, Any]:
    """The same engine as a function, a generator, a coroutine, an async generator, and a function that returns one."""

    def work() -> None:
        clock.tick(seconds)

    @otel_tts.synthesis("m", engine="e")
    def function(text: str) -> None:
        work()

    @otel_tts.synthesis("m", engine="e")
    def generator(text: str) -> Any:
        for _ in range(2):
            clock.tick(seconds / 2)
            yield b""

    @otel_tts.synthesis("m", engine="e")
    async def coroutine(text: str) -> None:
        await asyncio.sleep(0)
        work()

    @otel_tts.synthesis("m", engine="e")
    async def async_generator(text: str) -> Any:
        await asyncio.sleep(0)
        work()
        yield b""

    @otel_tts.synthesis("m", engine="e")
    def promise(text: str) -> Any:
        async def later() -> None:
            work()

        return later()

    return {
        "function": lambda: function("x"),
        "generator": lambda: list(generator("x")),
        "coroutine": lambda: coroutine("x"),
        "async_generator": lambda: drain(async_generator("x")),
        "promise": lambda: promise("x"),
        "to_thread": lambda: asyncio.to_thread(function, "x"),
    }


async def drain(items: Any) -> None:
    async for _ in items:
        pass


async def handler(call: Any) -> None:
    result = call()
    if asyncio.iscoroutine(result):
        await result


@pytest.mark.parametrize("kind", ["function", "generator"])
def test_what_blocks_its_loop_says_for_how_long(world, clock, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    with caplog.at_level(logging.WARNING):
        asyncio.run(handler(make(clock, 0.4)[kind]))
        asyncio.run(handler(make(clock, 0.4)[kind]))
    here.drain()
    assert [span.attributes[BLOCKED] for span in here.spans] == pytest.approx([0.4, 0.4])
    assert here.points(BLOCKED) == {("e",): (2, 0.8)}
    assert "loop_blocked=0.4" in here.lines()[-1] or any("loop_blocked=0.4" in line for line in here.lines())
    (record,) = caplog.records
    said = record.getMessage()
    assert "0.4 s" in said and "test_on_loop.py:handler:" in said and "asyncio.to_thread" in said


@pytest.mark.parametrize("kind", ["coroutine", "async_generator", "promise", "to_thread"])
def test_what_is_awaited_or_on_a_thread_blocks_nothing(world, clock, kind: str, caplog) -> None:
    here = world()
    asyncio.run(handler(make(clock, 0.4)[kind]))
    here.drain()
    assert BLOCKED not in here.spans[-1].attributes and not caplog.records


def test_without_a_loop_nothing_is_blocked(world, clock, caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    make(clock, 0.4)["function"]()
    here.drain()
    assert BLOCKED not in here.spans[-1].attributes and not caplog.records


def test_a_moment_is_noted_and_not_complained_of(world, clock, caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    asyncio.run(handler(make(clock, 0.02)["function"]))
    here.drain()
    assert here.spans[-1].attributes[BLOCKED] == pytest.approx(0.02) and not caplog.records


def test_two_engines_in_an_own_block_are_added_up(world, clock) -> None:
    here = world()
    calls = make(clock, 0.04)

    async def service() -> None:
        with otel_tts.synthesis("m"):
            calls["function"]()
            await asyncio.sleep(0)
            calls["function"]()

    asyncio.run(service())
    here.drain()
    assert here.spans[-1].attributes[BLOCKED] == pytest.approx(0.08)


def test_those_that_were_open_at_the_start_are_counted(world) -> None:
    here = world()
    with here.synthesis() as first, here.synthesis() as second, here.synthesis():
        pass
    here.drain()
    assert "tts.requests.others" not in first.attrs and second.attrs["tts.requests.others"] == 1
    assert sorted(span.attributes.get("tts.requests.others", 0) for span in here.spans) == [0, 1, 2]
    assert here.points("tts.requests.others") == {("e",): (3, 3)}
    assert "others=2" in here.lines()[2]

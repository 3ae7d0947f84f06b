# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of a seam is a stage of the current synthesis, whatever kind of callable it is."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard
from otel_tts.instrumentation.calls.seam import run_stage
from otel_tts.recording.stage import StageSpan


def name() -> str:
    return getattr(trace.get_current_span(), "name", "")


def plain(size):
    return [name()] * size


async def coroutine(size):
    await asyncio.sleep(0)
    return [name()] * size


def generator(size):
    for _ in range(size):
        yield name()


async def async_generator(size):
    for _ in range(size):
        await asyncio.sleep(0)
        yield name()


KINDS = (plain, coroutine, generator, async_generator)


def stage(function: Any, *args: Any, **options: Any) -> Any:
    return run_stage("vocoder", function, args, {}, **options)


async def collect(stream: Any) -> list[Any]:
    return [item async for item in stream]


def finished(result: Any) -> Any:
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return asyncio.run(collect(result)) if inspect.isasyncgen(result) else list(result)


@pytest.mark.parametrize("function", KINDS)
def test_each_kind_is_one_stage_and_current_inside(world, function) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        assert finished(stage(function, 3)) == ["tts.vocoder"] * 3
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech m"]
    first, root = seen.spans
    assert first.parent.span_id == root.context.span_id
    assert ("tts.stage.host_duration" in first.attributes) == ("generator" in function.__name__)


@pytest.mark.parametrize("function", KINDS)
def test_outside_of_a_synthesis_a_seam_is_only_a_call(world, function) -> None:
    seen = world()
    assert len(finished(stage(function, 3))) == 3
    assert seen.drain().spans == []


@pytest.mark.parametrize("function", KINDS)
@pytest.mark.parametrize("part", ["open", "close"])
def test_a_fault_of_ours_leaves_the_call_alone(world, monkeypatch, function, part) -> None:
    seen = world()
    monkeypatch.setattr(StageSpan, part, lambda *args: 1 / 0)
    with otel_tts.synthesis("m"):
        assert len(finished(stage(function, 3))) == 3
    assert seen.drain().names() == ["text_to_speech m"]
    assert sum(guard.faults.values()) == 1


def failing(function: Any) -> Any:
    if function is plain:

        def call():
            raise OSError("secret")
    elif function is coroutine:

        async def call():
            raise OSError("secret")
    elif function is generator:

        def call():
            yield 1
            raise OSError("secret")
    else:

        async def call():
            yield 1
            raise OSError("secret")

    return call


@pytest.mark.parametrize("function", KINDS)
def test_an_exception_marks_the_stage_and_passes(world, function) -> None:
    seen = world()
    with pytest.raises(OSError, match="secret"), otel_tts.synthesis("m"):
        finished(stage(failing(function)))
    for span in seen.drain().spans:
        assert span.status.status_code.name == "ERROR"
        assert span.attributes["error.type"] == "OSError"
        assert "secret" not in span.to_json()


def test_a_generator_keeps_send_throw_close_and_its_return(world) -> None:
    seen, heard = world(), []

    def talk():
        try:
            heard.append((yield 1))
            try:
                yield 2
            except KeyError:
                heard.append("thrown")
            yield 3
        finally:
            heard.append("closed")

    def short():
        yield 1
        return "result"

    def caller():
        return (yield from stage(short))

    with otel_tts.synthesis("m"):
        stream = stage(talk)
        assert next(stream) == 1
        assert stream.send("sent") == 2
        assert stream.throw(KeyError()) == 3
        stream.close()
        assert heard == ["sent", "thrown", "closed"]
        driver = caller()
        next(driver)
        with pytest.raises(StopIteration) as end:
            next(driver)
    assert end.value.value == "result"
    assert seen.drain().names() == ["tts.vocoder", "tts.vocoder", "text_to_speech m"]
    assert all(span.status.is_unset for span in seen.spans)


def test_an_async_generator_keeps_asend_athrow_and_aclose(world) -> None:
    seen, heard = world(), []

    async def talk():
        try:
            heard.append((yield 1))
            try:
                yield 2
            except KeyError:
                heard.append("thrown")
            yield 3
        finally:
            heard.append("closed")

    async def run():
        async with otel_tts.synthesis("m"):
            stream = stage(talk)
            assert await stream.__anext__() == 1
            assert await stream.asend("sent") == 2
            assert await stream.athrow(KeyError()) == 3
            await stream.aclose()

    asyncio.run(run())
    assert heard == ["sent", "thrown", "closed"]
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech m"]
    assert all(span.status.is_unset for span in seen.spans)


def test_folded_calls_are_one_span_with_their_number(world) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        for _ in range(5):
            stage(plain, 1, fold=True)
    folded = seen.drain().span("tts.vocoder")
    assert folded.attributes["tts.stage.segments"] == 5
    assert seen.names() == ["tts.vocoder", "text_to_speech m"]


def test_a_stage_inside_another_is_its_child(world) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        run_stage("acoustic_model", lambda: stage(plain, 1), (), {})
    inner, outer = seen.drain().span("tts.vocoder"), seen.span("tts.acoustic_model")
    assert inner.parent.span_id == outer.context.span_id


def test_an_async_stage_ends_with_its_last_item_and_the_rest_is_nobodys(world) -> None:
    seen = world()

    async def take() -> list[str]:
        stream = stage(async_generator, 3, last=lambda item: True)
        first = await stream.__anext__()
        assert otel_tts.current().stages.open == []
        return [first, *[item async for item in stream]]

    with otel_tts.synthesis("m"):
        assert asyncio.run(take()) == ["tts.vocoder", "text_to_speech m", "text_to_speech m"]
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech m"]
    assert not guard.faults


def test_what_a_stage_cleans_up_is_its_own(world) -> None:
    seen = world()

    def stream():
        try:
            yield 1
        finally:
            with otel_tts.stage("postprocess"):
                pass

    with otel_tts.synthesis("m"):
        chunks = stage(stream)
        next(chunks)
        chunks.close()
    seen.drain()
    assert seen.span("tts.postprocess").parent.span_id == seen.span("tts.vocoder").context.span_id

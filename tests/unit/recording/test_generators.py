# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Streams: generators and async generators as syntheses, however they are driven and wherever they stop."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard
from otel_tts.audio.samples.sound import pending
from otel_tts.engines.table import Chunk, Engine, Entry
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.recording.synthesis import current

RATE = 16000
ENGINE = Engine(name="e", module="m", distribution="d", entries=())
ENTRY = Entry("f", chunk=Chunk(), sample_rate=RATE)
CHUNK = (0.5 * np.sin(np.arange(RATE // 10) / 20)).astype(np.float32)


def stream(function, *args):
    return call_entry(Plan(ENGINE, ENTRY), function, None, args, {})


def speak(count: int = 3):
    for _ in range(count):
        with otel_tts.stage("model"):
            pass
        yield CHUNK


def ended(world) -> dict:
    """Attributes of the only synthesis; nothing is open any more."""
    world.drain()
    assert not world.recorder.open
    assert not guard.faults
    (root,) = [span for span in world.spans if span.name.startswith("text_to_speech")]
    return dict(root.attributes)


def test_a_stream_is_one_synthesis_from_its_first_step_to_its_end(world, clock) -> None:
    here = world()
    chunks = stream(speak)
    assert inspect.isgenerator(chunks)
    clock.tick(1.0)  # not begun: nothing happens
    assert not here.recorder.open
    for _ in chunks:
        clock.tick(0.05)
    attributes = ended(here)
    assert attributes["tts.stream"] is True
    assert attributes["tts.stream.chunks"] == 3
    assert attributes["tts.audio.duration"] == pytest.approx(0.3)
    assert attributes["tts.outcome"] == "ok"
    assert here.shown_spans()[-1]["ms"] == (1000.0, 1150.0)
    assert here.names() == ["tts.model"] * 3 + ["text_to_speech"]


def test_what_a_stream_yields_is_handed_on_as_it_is(world) -> None:
    world()
    items = [CHUNK, CHUNK.astype(np.float64), CHUNK.reshape(1, -1), CHUNK, None, "x", CHUNK]
    assert all(ours is theirs for ours, theirs in zip(stream(lambda: items_of(items)), items, strict=True))


def items_of(items):
    yield from items


def test_the_context_is_the_streams_only_while_it_runs(world) -> None:
    here = world()
    inside = []

    def engine():
        for _ in range(2):
            inside.append((current(), trace.get_current_span()))
            yield CHUNK

    tracer = here.tracers.get_tracer("app")
    with tracer.start_as_current_span("caller") as caller:
        for _ in stream(engine):
            assert current() is None
            assert trace.get_current_span() is caller
    assert [synthesis is span is not None for synthesis, span in inside] == [True, True]
    here.drain()
    assert here.span("text_to_speech").parent == caller.get_span_context()


def test_two_interleaved_streams_keep_their_own_parents(world) -> None:
    here = world()
    tracer = here.tracers.get_tracer("app")

    def engine(name: str):
        for _ in range(3):
            with otel_tts.stage(name), tracer.start_as_current_span(f"{name} child"):
                pass
            yield CHUNK

    with tracer.start_as_current_span("caller a") as caller_a:
        a = stream(engine, "a")
    with tracer.start_as_current_span("caller b") as caller_b:
        b = stream(engine, "b")
    for _ in zip(a, b, strict=False):
        pass
    assert next(b, None) is None
    here.drain()
    roots = {span.parent.span_id: span for span in here.spans if span.name == "text_to_speech"}
    for name, caller in (("a", caller_a), ("b", caller_b)):
        root = roots[caller.get_span_context().span_id]
        stages = [span for span in here.spans if span.name == f"tts.{name}"]
        assert [stage.parent for stage in stages] == [root.get_span_context()] * 3
        children = [span.parent for span in here.spans if span.name == f"{name} child"]
        assert children == [stage.get_span_context() for stage in stages]


# --- the generator protocol ------------------------------------------------------------------------------


def echo():
    """Yields what it is sent; a thrown ValueError too; returns the number of steps."""
    steps, said = 0, None
    while said != "stop":
        steps += 1
        try:
            said = yield said
        except ValueError as error:
            said = error
    return steps


def drive(generator) -> list:
    """The same conversation with any generator that speaks `echo`."""
    error = ValueError("thrown")
    heard = [next(generator), generator.send("a"), generator.send(None), generator.throw(error) is error]
    try:
        generator.send("stop")
    except StopIteration as end:
        heard.append(end.value)
    return heard


def test_send_throw_and_the_return_value_pass_through(world) -> None:
    here = world()
    assert drive(stream(echo)) == drive(echo()) == [None, "a", None, True, 4]
    assert ended(here)["tts.outcome"] == "ok"


def test_yield_from_hands_everything_on(world) -> None:
    here = world()

    def outer():
        return (yield from stream(echo))

    assert drive(outer()) == drive(echo())
    ended(here)


def test_an_error_thrown_in_and_not_caught_ends_it_with_that_error(world) -> None:
    here = world()
    chunks = stream(speak)
    next(chunks)
    error = KeyError("x")
    with pytest.raises(KeyError) as raised:
        chunks.throw(error)
    assert raised.value is error
    assert (ended(here)["tts.outcome"], ended(here)["error.type"]) == ("error", "KeyError")
    assert list(chunks) == []


def test_a_closed_stream_is_cancelled_and_cleans_up_inside_its_synthesis(world) -> None:
    here = world()
    seen = []

    def engine():
        try:
            yield CHUNK
            yield CHUNK
        finally:
            seen.append(current())
            with otel_tts.stage("postprocess"):
                pass

    chunks = stream(engine)
    next(chunks)
    chunks.close()
    chunks.close()
    attributes = ended(here)
    assert attributes["tts.outcome"] == "cancelled"
    assert "error.type" not in attributes
    assert seen[0] is not None
    assert here.span("tts.postprocess").parent == here.span("text_to_speech").get_span_context()


def test_a_dropped_stream_is_cancelled(world) -> None:
    here = world()
    chunks = stream(speak)
    next(chunks)
    del chunks
    gc.collect()
    assert ended(here)["tts.outcome"] == "cancelled"


def test_a_stream_in_a_cycle_is_cancelled_when_the_collector_comes_by(world) -> None:
    here = world()
    chunks = stream(speak)
    next(chunks)
    cycle = [chunks]
    cycle.append(cycle)
    del chunks, cycle
    gc.collect()
    assert ended(here)["tts.outcome"] == "cancelled"


def test_a_stream_that_is_never_started_leaves_nothing(world) -> None:
    here = world()
    chunks = stream(speak)
    chunks.close()
    del chunks
    stream(speak)
    gc.collect()
    assert here.drain().spans == []
    assert here.lines() == []
    assert not here.recorder.open


def test_cleaning_up_that_fails_ends_the_synthesis_all_the_same(world) -> None:
    here = world()

    def engine():
        try:
            yield CHUNK
        finally:
            raise RuntimeError("while closing")

    chunks = stream(engine)
    next(chunks)
    with pytest.raises(RuntimeError, match="while closing"):
        chunks.close()
    ended(here)


def test_a_stream_that_ignores_its_closing_raises_as_ever(world) -> None:
    here = world()

    def engine():
        while True:
            try:
                yield CHUNK
            except GeneratorExit:
                yield CHUNK
                return

    chunks = stream(engine)
    next(chunks)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        chunks.close()
    ended(here)


def test_a_stream_that_is_iterated_in_another_thread_stays_one_trace(world) -> None:
    here = world()
    tracer = here.tracers.get_tracer("app")
    with tracer.start_as_current_span("caller") as caller:
        chunks = stream(speak)
    next(chunks)
    thread = threading.Thread(target=lambda: list(chunks))
    thread.start()
    thread.join()
    ended(here)
    root = here.span("text_to_speech")
    assert root.parent == caller.get_span_context()
    stages = [span for span in here.spans if span.name == "tts.model"]
    assert [stage.parent for stage in stages] == [root.get_span_context()] * 3


def test_a_plain_entry_that_returns_a_generator_is_one_synthesis(world) -> None:
    here = world()

    def engine():
        with otel_tts.stage("text_frontend"):
            pass
        return speak()

    chunks = stream(engine)
    assert len(here.recorder.open) == 1
    assert len(list(chunks)) == 3
    attributes = ended(here)
    assert (attributes["tts.stream"], attributes["tts.stream.chunks"]) == (True, 3)
    assert here.names() == ["tts.text_frontend"] + ["tts.model"] * 3 + ["text_to_speech"]


def test_a_stage_that_is_a_generator_ends_with_it(world) -> None:
    here = world()

    @otel_tts.stage("vocoder")
    def vocoder():
        yield from speak(2)

    with here.synthesis() as synthesis:
        chunks = vocoder()
        assert not synthesis.stages.open
        next(chunks)
        assert len(synthesis.stages.open) == 1
        assert trace.get_current_span() is synthesis
        del chunks
        gc.collect()
        assert not synthesis.stages.open
    here.drain()
    assert here.span("tts.model").parent == here.span("tts.vocoder").get_span_context()
    assert here.span("tts.vocoder").status.is_unset


@pytest.mark.thorough
def test_ten_thousand_abandoned_streams_leave_nothing_open_and_no_memory(world) -> None:
    here = world(sampler=trace_off())

    def abandon(count: int) -> None:
        for number in range(count):
            chunks = stream(speak)
            if number % 2:
                next(chunks)
            del chunks
            if number % 100 == 0:
                here.drain()
                here.log_memory.clear()
        here.drain()
        here.log_memory.clear()

    abandon(1000)
    gc.collect()
    before, waiting = sys.getallocatedblocks(), pending.bytes
    abandon(9000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 2000, "less than a block for every fourth stream"
    assert pending.bytes == waiting
    assert not here.recorder.open
    assert here.points("tts.requests") == {("e", "cancelled"): 5000}
    assert here.points("tts.requests.active") == {("e",): 0}
    assert not guard.faults


def trace_off():
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

    return ParentBased(ALWAYS_OFF)


# --- async -----------------------------------------------------------------------------------------------


async def speak_async(count: int = 3):
    for _ in range(count):
        await asyncio.sleep(0)
        with otel_tts.stage("model"):
            pass
        yield CHUNK


def test_an_async_stream_is_one_synthesis(world) -> None:
    here = world()

    async def main() -> None:
        chunks = stream(speak_async)
        assert inspect.isasyncgen(chunks)
        assert not here.recorder.open
        tracer = here.tracers.get_tracer("app")
        with tracer.start_as_current_span("caller") as caller:
            async for chunk in chunks:
                assert chunk is CHUNK
                assert current() is None
                assert trace.get_current_span() is caller

    asyncio.run(main())
    attributes = ended(here)
    assert (attributes["tts.outcome"], attributes["tts.stream.chunks"]) == ("ok", 3)
    assert here.names() == ["caller"] + ["tts.model"] * 3 + ["text_to_speech"]


@pytest.mark.parametrize("how", ["close", "drop", "cancel", "throw"])
def test_an_async_stream_that_stops_half_way(world, how: str) -> None:
    here = world()

    async def main() -> None:
        chunks = stream(speak_async)
        await chunks.__anext__()
        if how == "close":
            await chunks.aclose()
        elif how == "throw":
            with pytest.raises(KeyError):
                await chunks.athrow(KeyError("x"))
        elif how == "drop":
            del chunks
            gc.collect()
            await asyncio.sleep(0.01)
        else:
            task = asyncio.ensure_future(chunks.__anext__())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert ended(here)["tts.outcome"] == ("error" if how == "throw" else "cancelled")


def test_an_async_stream_that_is_never_started_leaves_nothing(world) -> None:
    here = world()

    async def main() -> None:
        chunks = stream(speak_async)
        await chunks.aclose()

    asyncio.run(main())
    assert here.drain().spans == []


def test_an_async_stream_takes_what_is_sent_and_thrown(world) -> None:
    here = world()

    async def echo_async():
        said = None
        while said != "stop":
            try:
                said = yield said
            except ValueError as error:
                said = error

    async def talk(generator) -> list:
        error = ValueError("thrown")
        heard = [await generator.__anext__(), await generator.asend("a"), await generator.athrow(error) is error]
        try:
            await generator.asend("stop")
        except StopAsyncIteration:
            heard.append("end")
        return heard

    assert asyncio.run(talk(stream(echo_async))) == asyncio.run(talk(echo_async())) == [None, "a", True, "end"]
    assert ended(here)["tts.outcome"] == "ok"


def test_interleaved_async_streams_in_tasks_keep_their_own_parents(world) -> None:
    here = world()

    async def consume(name: str) -> None:
        async def engine():
            for _ in range(3):
                await asyncio.sleep(0)
                with otel_tts.stage(name):
                    await asyncio.sleep(0)
                yield CHUNK

        with here.tracers.get_tracer("app").start_as_current_span(f"caller {name}"):
            async for _ in stream(engine):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(consume("a"), consume("b"))

    asyncio.run(main())
    here.drain()
    for name in "ab":
        caller = here.span(f"caller {name}").get_span_context()
        (root,) = [span for span in here.spans if span.name == "text_to_speech" and span.parent == caller]
        stages = [span for span in here.spans if span.name == f"tts.{name}"]
        assert [stage.parent for stage in stages] == [root.get_span_context()] * 3


def test_an_async_stream_whose_cleaning_up_fails_ends_its_synthesis(world) -> None:
    here = world()

    async def engine():
        try:
            yield CHUNK
        finally:
            raise RuntimeError("while closing")

    async def main() -> None:
        chunks = stream(engine)
        await chunks.__anext__()
        with pytest.raises(RuntimeError, match="while closing"):
            await chunks.aclose()

    asyncio.run(main())
    ended(here)

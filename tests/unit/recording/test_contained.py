# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Telemetry never hurts: whatever breaks inside, the application's results and exceptions stay what they are."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard, record
from otel_tts.audio.samples.sound import Sound
from otel_tts.emit.emitter import Emitter
from otel_tts.emit.logs import Lines
from otel_tts.emit.metrics import Instruments
from otel_tts.emit.spans import SpanMaker
from otel_tts.emit.voices import VoiceNames
from otel_tts.engines.table import Chunk, Engine, Entry
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.recording.identity import Identities
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.stages import Stages
from otel_tts.recording.synthesis import Synthesis

RATE = 16000
TONE = (0.5 * np.sin(np.arange(RATE // 2) / 20)).astype(np.float32)
ENGINE = Engine(name="e", module="m", distribution="d", entries=())
ENTRY = Entry("f", text="text", chunk=Chunk(), sample_rate=RATE)


class Ours(Exception):
    """An error inside otel-tts."""


def broken(*args: object, **kwargs: object) -> None:
    raise Ours("inside")


def plain(text: str):
    with otel_tts.stage("model"):
        return [TONE, text]


async def coroutine(text: str):
    await asyncio.sleep(0)
    with otel_tts.stage("model"):
        return [TONE, text]


def generator(text: str):
    for _ in range(3):
        with otel_tts.stage("model"):
            pass
        yield TONE
    return text


async def async_generator(text: str):
    for _ in range(3):
        with otel_tts.stage("model"):
            pass
        yield TONE


def own_block(text: str):
    with otel_tts.synthesis("m", text=text, voice="v") as synthesis:
        with synthesis.stage("model") as stage:
            stage.set_attribute("a", 1)
            stage.add_event("e", {"b": 2})
        with otel_tts.stage("vocoder"):
            synthesis.set(language="de", voice="w").chunk(TONE, RATE)
        synthesis.audio(TONE, RATE)
        return [TONE, text]


def failing_block(text: str):
    with otel_tts.synthesis("m", text=text) as synthesis, synthesis.stage("model"):
        raise KeyError(text)


def entry(function):
    return lambda text: call_entry(Plan(ENGINE, ENTRY), function, None, (text,), {})


def consume(text: str):
    stream, items = entry(generator)(text), []
    while True:
        try:
            items.append(next(stream))
        except StopIteration as end:
            return items, end.value


def consume_async(text: str):
    async def main():
        return [item async for item in entry(async_generator)(text)]

    return asyncio.run(main())


def abandon(text: str):
    stream = entry(generator)(text)
    first = next(stream)
    stream.close()
    return [first]


def fail(text: str):
    def engine(text):
        with otel_tts.stage("model"):
            raise KeyError(text)

    return entry(engine)(text)


USES = {
    "call": entry(plain),
    "coroutine": lambda text: asyncio.run(entry(coroutine)(text)),
    "stream": consume,
    "async stream": consume_async,
    "abandoned stream": abandon,
    "failing call": fail,
    "own block": own_block,
    "failing block": failing_block,
}


def result_of(use) -> str:
    """What the application gets, exceptions included."""
    try:
        return repr(use("hello"))
    except KeyError as error:
        return repr(error)


PLACES = [
    *((Recorder, name) for name in ("begin", "finish")),
    (Identities, "sample"),
    *((Emitter, name) for name in ("ends", "_announce", "_name_voice", "_materialise", "_emit_finished_stages")),
    *((Synthesis, name) for name in (
        "start", "finish", "_classify", "note_failure", "_listen_to",
    )),
    *((Stages, name) for name in ("close", "_add_up", "_fold")),
    *((StageSpan, name) for name in ("open", "close", "fail", "record_exception")),
    *((Sound, name) for name in (
        "__init__", "add", "delivered", "facts", "playout", "_keep", "_measure", "_join_pieces", "_play",
    )),
    *((SpanMaker, name) for name in ("emit", "_hand_over")),
    (Identities, "sample"),
    *((Instruments, name) for name in ("record", "label")),
    *((Lines, name) for name in ("started", "ended", "_write")),
    (VoiceNames, "name"),
    (record, "location_of"),
    (record, "type_name"),
]  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].__name__}.{place[1]}")
def test_a_fault_changes_nothing_for_the_application(world, monkeypatch, place, use) -> None:
    owner, name = place
    here = world(max_stage_spans=1)
    expected = result_of(use)
    here.drain()
    assert not guard.faults
    called = []

    def fault(*args: object, **kwargs: object) -> None:
        called.append(name)
        broken()

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fault)
        assert result_of(use) == expected
        here.emitter.drain()
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert otel_tts.current() is None
    assert bool(guard.faults) is bool(called)
    guard.faults.clear()
    assert result_of(use) == expected
    assert here.drain().names().count("text_to_speech m" if "block" in repr(use) else "text_to_speech") >= 1
    assert not guard.faults


class BrokenClock:
    """A clock that breaks at one of its steps."""

    mode = "events"

    def __init__(self, at: str) -> None:
        for step in ("begin", "end", "resolve"):
            setattr(self, step, broken if step == at else lambda stage: True)


@pytest.mark.parametrize("at", ["begin", "end", "resolve"])
@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_clock_that_breaks_changes_nothing(world, at: str, use) -> None:
    here = world()
    expected = result_of(use)
    here.recorder.clock = BrokenClock(at)
    assert result_of(use) == expected
    here.emitter.drain()
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert not here.recorder.open
    assert guard.faults


def test_a_stage_that_could_not_be_opened_is_not_open(world) -> None:
    here = world()
    here.recorder.clock = BrokenClock("begin")
    with here.synthesis() as synthesis, synthesis.stage("model") as stage:
        assert not synthesis.stages.open
        assert not stage.is_recording()
        assert stage.get_span_context() == trace.INVALID_SPAN_CONTEXT
        assert trace.get_current_span() is synthesis
    here.drain()
    assert here.names() == ["text_to_speech"]


def test_the_thread_survives_a_fault_in_every_look(world, monkeypatch) -> None:
    import time

    with monkeypatch.context() as patch:
        patch.setattr(SpanMaker, "look_at_processors", lambda self: None)
        here = world(interval=0.001)
        patch.setattr(SpanMaker, "look_at_processors", broken)
        deadline = time.monotonic() + 10
        while guard.faults["drain"] < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert guard.faults["drain"] >= 3
    with here.synthesis():
        pass
    while not here.spans and time.monotonic() < deadline:
        time.sleep(0.001)
    assert here.names() == ["text_to_speech"]


def test_an_exporter_that_raises_costs_one_record_which_is_counted(world, monkeypatch) -> None:
    here = world()
    with here.synthesis():
        pass
    with monkeypatch.context() as patch:
        patch.setattr(SpanMaker, "emit", broken)
        here.drain()
    with here.synthesis(request_id="r2"):
        pass
    here.drain()
    assert [span.attributes["request_id"] for span in here.spans] == ["r2"]
    assert here.recorder.dropped == {"fault": 1}
    assert here.points("otel_tts.dropped") == {("fault",): 1}
    assert here.points("otel_tts.faults") == {("record",): 1}


@pytest.mark.parametrize("samples", ["text", object(), {"a": 1}, [[1, 2], [3]], [None], b"\0\1\2", 5, np.array(["a"])])
def test_samples_of_any_kind_raise_nothing(world, samples) -> None:
    here = world()
    with here.synthesis() as synthesis:
        synthesis.audio(samples, RATE)
        synthesis.chunk(samples, RATE)
        synthesis.audio(samples, "rate")  # pyright: ignore[reportArgumentType]
    here.drain()
    assert here.names() == ["text_to_speech"]
    assert not here.recorder.dropped


class Strange:
    """A value that breaks at every look."""

    __str__ = __repr__ = __eq__ = __bool__ = broken
    __hash__ = None


VALUES = [Strange(), np.int64(3), np.zeros(3), b"x", ["a", "b"], {"a": 1}, float("nan")]


@pytest.mark.parametrize("fact", ["voice", "language", "text_length", "segments", "emotion", "format"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_facts_of_any_kind_raise_nothing_in_the_request(world, capsys, fact: str, value, form: str) -> None:
    here = world(log_format=form)
    with here.synthesis() as synthesis, synthesis.stage("model") as stage:
        synthesis.set(**{fact: value})
        stage.set_attribute("x", value)
    here.emitter.drain()
    assert not here.recorder.open
    if not isinstance(value, Strange):
        assert here.names() == ["tts.model", "text_to_speech"]
        assert here.points("tts.requests")
        assert "REQ_SUCCESS" in capsys.readouterr().err

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The public way for own code: blocks and decorators, configured or not."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import inspect
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import api, guard, names
from otel_tts.recording import request
from otel_tts.recording.request import Request

TONE = (0.5 * np.sin(np.pi * np.arange(12000) / 60)).astype(np.float32)  # half a second of 200 Hz at 24 kHz


class Service:
    """Own code with every kind of callable decorated."""

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    def speak(self, text: str) -> np.ndarray:
        """Text to samples."""
        return self.vocode(self.think(text))

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    async def speak_later(self, text: str) -> np.ndarray:
        return await self.vocode_later(self.think(text))

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    def stream(self, text: str) -> Iterator[np.ndarray]:
        yield from self.vocode_stream(self.think(text))

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    async def stream_later(self, text: str) -> Any:
        async for piece in self.vocode_stream_later(self.think(text)):
            yield piece

    @classmethod
    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    def of_class(cls, text: str) -> np.ndarray:
        return cls().vocode(len(text))

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    @classmethod
    def of_class_above(cls, text: str) -> np.ndarray:
        return cls().vocode(len(text))

    @staticmethod
    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    def of_nobody(text: str) -> np.ndarray:
        return Service().vocode(len(text))

    @otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
    @staticmethod
    def of_nobody_above(text: str) -> np.ndarray:
        return Service().vocode(len(text))

    @otel_tts.stage("acoustic_model")
    def think(self, text: str) -> int:
        return len(text)

    @otel_tts.stage("vocoder")
    def vocode(self, size: int) -> np.ndarray:
        return TONE

    @otel_tts.stage("vocoder")
    async def vocode_later(self, size: int) -> np.ndarray:
        await asyncio.sleep(0)
        return TONE

    @otel_tts.stage("vocoder")
    def vocode_stream(self, size: int) -> Iterator[np.ndarray]:
        yield from np.split(TONE, 4)

    @otel_tts.stage("vocoder")
    async def vocode_stream_later(self, size: int) -> Any:
        for piece in np.split(TONE, 4):
            await asyncio.sleep(0)
            yield piece


@otel_tts.synthesis("m", text_argument="text", sample_rate=24000)
def speak(text: str) -> np.ndarray:
    return Service().vocode(len(text))


async def collect(stream: Any) -> np.ndarray:
    return np.concatenate([piece async for piece in stream])


WAYS: dict[str, Callable[[], Any]] = {
    "function": lambda: speak("hello"),
    "method": lambda: Service().speak("hello"),
    "method by its class": lambda: Service.speak(Service(), text="hello"),
    "coroutine": lambda: asyncio.run(Service().speak_later("hello")),
    "generator": lambda: np.concatenate(list(Service().stream("hello"))),
    "async generator": lambda: asyncio.run(collect(Service().stream_later("hello"))),
    "classmethod": lambda: Service.of_class("hello"),
    "classmethod, decorated above": lambda: Service.of_class_above("hello"),
    "classmethod of an instance": lambda: Service().of_class_above(text="hello"),
    "staticmethod": lambda: Service.of_nobody("hello"),
    "staticmethod, decorated above": lambda: Service().of_nobody_above("hello"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_decorated_callable_is_a_synthesis_with_its_stages(world, way) -> None:
    seen = world()
    assert WAYS[way]().tobytes() == TONE.tobytes()
    *stages, root = seen.drain().spans
    assert [span.name for span in stages] in (["tts.vocoder"], ["tts.acoustic_model", "tts.vocoder"])
    assert root.name == "text_to_speech m"
    assert root.attributes["tts.text.length"] == 5
    assert root.attributes["tts.audio.duration"] == 0.5
    assert root.attributes["tts.outcome"] == "ok"
    assert root.attributes.get("tts.stream") == (True if "generator" in way else None)
    assert all(span.parent.span_id == root.context.span_id for span in stages)
    assert guard.faults == {}


@pytest.mark.parametrize("way", WAYS)
def test_without_a_recorder_a_decorated_callable_is_itself(way) -> None:
    assert WAYS[way]().tobytes() == TONE.tobytes()
    assert guard.faults == {}


def test_decorated_callables_look_and_pickle_as_before() -> None:
    for name, kind in (
        ("speak", inspect.isfunction), ("speak_later", inspect.iscoroutinefunction),
        ("stream", inspect.isgeneratorfunction), ("stream_later", inspect.isasyncgenfunction),
    ):  # fmt: skip
        assert kind(getattr(Service, name)), name
        assert inspect.signature(getattr(Service(), name)).parameters.keys() == {"text"}
    assert Service.speak.__doc__ == "Text to samples."
    assert inspect.ismethod(Service.of_class)
    assert pickle.loads(pickle.dumps(speak)) is speak
    assert pickle.loads(pickle.dumps(Service().speak))("hello").tobytes() == TONE.tobytes()


def test_a_block_says_what_it_is_told(world) -> None:
    seen = world(voices=("anna",))
    with otel_tts.synthesis("big", engine="ours", text="hello", voice="anna", language="en", request_id="r-1") as own:
        assert otel_tts.current() is own
        with otel_tts.stage("acoustic_model") as stage:
            stage.set_attribute("tts.segment.count", 3)
        own.audio(TONE, 24000)
        own.set(format="wav", size=24044, emotion="calm", voice_source="preset")
    assert otel_tts.current() is None
    attributes = seen.drain().span("text_to_speech big").attributes
    expected = {
        "request_id": "r-1", "tts.engine.name": "ours", "gen_ai.provider.name": "ours", "tts.text.length": 5,
        "tts.voice": "anna", "tts.text.language": "en", "tts.audio.format": "wav", "tts.audio.size": 24044,
        "tts.emotion.mode": "calm", "tts.voice.source": "preset", "tts.audio.duration": 0.5, "tts.outcome": "ok",
    }  # fmt: skip
    assert {key: attributes[key] for key in expected} == expected
    assert seen.span("tts.acoustic_model").attributes["tts.segment.count"] == 3


def test_blocks_of_coroutines(world) -> None:
    seen = world()

    async def run(text: str) -> None:
        async with otel_tts.synthesis("m", text=text) as own:
            async with otel_tts.stage("vocoder"):
                await asyncio.sleep(0)
            assert otel_tts.current() is own

    async def main() -> None:
        await asyncio.gather(run("a"), run("bb"))

    asyncio.run(main())
    spans = seen.drain().spans
    roots = {
        span.context.trace_id: span.attributes["tts.text.length"] for span in spans if "request_id" in span.attributes
    }
    assert sorted(roots.values()) == [1, 2]
    assert {span.context.trace_id for span in spans if span.name == "tts.vocoder"} == set(roots)


@pytest.mark.parametrize("error", [KeyError("secret"), asyncio.CancelledError("secret"), KeyboardInterrupt("secret")])
def test_what_leaves_a_block_leaves_it_as_it_was(world, error) -> None:
    seen = world()
    with pytest.raises(type(error)) as caught, otel_tts.synthesis("m"), otel_tts.stage("vocoder"):
        raise error
    assert caught.value is error
    outcome = seen.drain().span("text_to_speech m").attributes["tts.outcome"]
    assert outcome == ("error" if isinstance(error, KeyError) else "cancelled")
    assert all("secret" not in span.to_json() for span in seen.spans)


def test_a_refusal_is_rejected(world) -> None:
    seen = world()
    with otel_tts.synthesis("m") as own:
        own.reject()
    assert seen.drain().span("text_to_speech m").attributes["tts.outcome"] == "rejected"


def test_a_stage_of_an_own_name_with_attributes(world) -> None:
    seen = world()

    @otel_tts.stage("denoise", **{"tts.segment.count": 2})
    def denoise() -> None:
        pass

    with otel_tts.synthesis("m"):
        denoise()
        with otel_tts.stage("denoise", **{"tts.segment.count": 3}):
            pass
    spans = [span for span in seen.drain().spans if span.name == "tts.denoise"]
    assert [span.attributes["tts.segment.count"] for span in spans] == [2, 3]


def test_a_stage_outside_of_a_synthesis_does_nothing(world) -> None:
    seen = world()
    with otel_tts.stage("vocoder") as stage:
        stage.set_attribute("key", 1)
        stage.add_event("event")
        assert not stage.is_recording()
        assert not trace.get_current_span().get_span_context().is_valid
    assert Service().vocode(1) is TONE
    assert seen.drain().spans == []


def test_a_block_may_be_used_again(world) -> None:
    seen = world()
    synthesis, stage = otel_tts.synthesis("m"), otel_tts.stage("vocoder")
    for _ in range(3):
        with synthesis, stage:
            pass
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech m"] * 3
    assert len({span.context.trace_id for span in seen.spans}) == 3


def test_one_block_may_be_entered_by_many_at_once(world) -> None:
    """As a constant of a module it is everybody's: each ends what he opened, and no thread keeps a dead request."""
    seen = world()
    synthesis, stage, turn = otel_tts.synthesis("m"), otel_tts.stage("vocoder"), threading.Barrier(2)
    left: list[bool] = []

    def speak(first: bool) -> None:
        with synthesis, stage:
            turn.wait(10)
            if not first:
                turn.wait(10)
        left.append(trace.get_current_span().get_span_context().is_valid)
        if first:
            turn.wait(10)

    threads = [threading.Thread(target=speak, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    with stage:  # outside of any synthesis
        for thread in threads:
            thread.join()
    assert left == [False, False]
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech m"] * 2
    assert not seen.recorder.open
    traces = [span.context.trace_id for span in seen.spans]
    assert traces[0] == traces[1] != traces[2] == traces[3]


def test_a_block_may_be_entered_inside_itself(world) -> None:
    seen, stage = world(), otel_tts.stage("vocoder")

    def go(depth: int) -> None:
        with stage:
            if depth:
                go(depth - 1)

    with otel_tts.synthesis("m"):
        go(2)
    spans = {span.context.span_id: span for span in seen.drain().spans}
    inner, middle, outer, root = seen.spans
    assert [spans[each.parent.span_id] for each in (inner, middle, outer)] == [middle, outer, root]


def test_unconfigured_blocks_work_and_keep_nothing() -> None:
    def one() -> None:
        with otel_tts.synthesis("m", text="hello", request_id="r") as own:
            with otel_tts.stage("vocoder") as stage, own.stage("inner"):
                stage.set_attribute("a", 1)
            own.audio(TONE, 24000)
            own.chunk(TONE, 24000)
            own.set(voice="a")
            assert otel_tts.current() is own

    silent = api._silent()
    for _ in range(50):
        one()
    assert (len(silent.started), len(silent.finished), len(silent.late), len(silent.open)) == (0, 0, 0, 0)
    gc.collect()
    from otel_tts.audio.samples.sound import pending

    assert pending.bytes == 0, "samples are kept"
    assert guard.faults == {}


def test_unconfigured_blocks_leave_the_applications_span_current() -> None:
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))), otel_tts.synthesis("m"):
        assert trace.get_current_span().get_span_context().trace_id == 1


@pytest.mark.parametrize("given", ["a\nb", "a b", "\0", "ü", "", "x" * 129, "../../etc", 7, None, b"bytes"])
def test_a_request_id_that_could_do_harm_is_replaced(world, given) -> None:
    seen = world()
    with otel_tts.synthesis("m", request_id=given):
        pass
    shown = seen.drain().span("text_to_speech m").attributes["request_id"]
    assert shown != given
    assert len(shown) == 32
    assert set(shown) <= set("0123456789abcdef")


def test_the_web_requests_id_is_taken_and_an_own_one_goes_first(world) -> None:
    seen = world()
    token = request.current.set(Request("of-the-web", 0))
    try:
        with otel_tts.synthesis("a"):
            pass
        with otel_tts.synthesis("b", request_id="own"):
            pass
    finally:
        request.current.reset(token)
    ids = [span.attributes["request_id"] for span in seen.drain().spans]
    assert ids == ["of-the-web", "own"]


@pytest.mark.parametrize(
    "nonsense", [7, b"bytes", object(), ["list"], {"a": 1}, np.zeros(2)], ids=lambda value: type(value).__name__
)
def test_arguments_of_a_wrong_type_are_left_out(world, nonsense) -> None:
    seen = world()
    with otel_tts.synthesis(text=nonsense, engine=nonsense, voice=nonsense, language=nonsense) as own:
        own.audio(nonsense, nonsense)
        own.chunk(nonsense)
    (span,) = seen.drain().spans
    assert not {"tts.text.length", "tts.engine.name", "tts.voice", "tts.text.language"} & span.attributes.keys()


def test_an_unknown_fact_is_said_once_and_left_out(world, caplog) -> None:
    seen = world()
    with caplog.at_level(logging.WARNING, "otel_tts"):
        for _ in range(3):
            with otel_tts.synthesis("m") as own:
                own.set(voise="what was said", language="en", **{"no identifier: what was said": 1})
    assert all(span.attributes["tts.text.language"] == "en" for span in seen.drain().spans)
    first, second = caplog.messages
    assert "has no fact voise" in first
    assert "voice, " in first
    assert "has no fact ?" in second
    assert "what was said" not in caplog.text


# --- wrong use is said where it is written ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["synthesis", "stage"])
def test_a_decorator_without_parentheses(name) -> None:
    def function() -> None: ...

    for decorated in (function, staticmethod(function), classmethod(function)):
        with pytest.raises(TypeError, match=rf"@otel_tts.{name}\(\.\.\.\)"):
            getattr(otel_tts, name)(decorated)


def test_a_decorator_that_names_no_argument() -> None:
    with pytest.raises(TypeError, match="no argument 'txt'; it has self, text"):

        class _:
            @otel_tts.synthesis("m", text_argument="txt")
            def speak(self, text: str) -> None: ...


def test_a_decorator_of_a_callable_that_takes_any_argument(world) -> None:
    seen = world()

    @otel_tts.synthesis("m", text_argument="text")
    def anything(**options: Any) -> None: ...

    anything(text="abc")
    assert seen.drain().span("text_to_speech m").attributes["tts.text.length"] == 3


@pytest.mark.parametrize("option", [{"text": "abc"}, {"request_id": "r"}])
def test_a_decorator_with_what_belongs_to_one_call(option) -> None:
    with pytest.raises(TypeError, match="belong to one call"):
        otel_tts.synthesis("m", **option)(lambda text: None)


def test_an_unknown_argument_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="modle"):
        otel_tts.synthesis(modle="m")  # type: ignore[call-arg]


def test_the_public_names_are_there() -> None:
    for name in otel_tts.__all__:
        assert getattr(otel_tts, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        otel_tts.nothing  # noqa: B018


def test_importing_the_package_does_not_import_the_hooks() -> None:
    code = "import sys, otel_tts; print(*(n for n in sys.modules if n.startswith('otel_tts.instrumentation')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"


def test_a_table_is_watched_by_what_the_package_exports(world, monkeypatch, caplog) -> None:
    module = ModuleType("watched_engine")
    module.speak = lambda text: TONE  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "watched_engine", module)
    engine = otel_tts.Engine(
        "watched", "watched_engine", "", (otel_tts.Entry("speak", chunk=otel_tts.Chunk(rate=24000)),)
    )
    otel_tts.watch(engine)
    seen = world()
    assert module.speak("hello").tobytes() == TONE.tobytes()  # type: ignore[attr-defined]
    (root,) = seen.drain().spans
    assert root.attributes[names.ENGINE] == "watched" and root.attributes["tts.audio.duration"] == 0.5
    otel_tts.watch(dataclasses.replace(engine, entries=("speak",)))  # type: ignore[arg-type]
    assert f"({__file__}:" in caplog.text  # who wrote the wrong table, and not our own line

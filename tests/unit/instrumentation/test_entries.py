# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of an entry is one synthesis, whatever kind of callable it is and whatever it returns."""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import gc
import importlib
import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard
from otel_tts.audio.samples.sound import Sound
from otel_tts.engines.table import Chunk, Engine, Entry, Seam
from otel_tts.instrumentation.calls import entry as entries
from otel_tts.instrumentation.calls import facts, seam
from otel_tts.instrumentation.calls.delivery import Delivery
from otel_tts.instrumentation.libraries import threads
from otel_tts.instrumentation.tables import watch
from otel_tts.recording.identity import Identities
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.stages import Stages
from otel_tts.recording.synthesis import Synthesis

HALF_A_SECOND = (0.5 * np.sin(np.pi * np.arange(12000) / 60)).astype(np.float32)  # a tone of 200 Hz at 24 kHz


async def collect(stream: Any) -> list[Any]:
    return [item async for item in stream]


@pytest.fixture
def hooked(module, monkeypatch):
    """`hooked(function, entry…)` puts `function` into a module of its own as `speak` and hooks it."""

    def make(function: Any, *, seams: tuple[Seam, ...] = (), engine: dict[str, Any] | None = None, **entry: Any) -> Any:
        made = importlib.import_module(module(""))
        made.speak = function
        table = {"sample_rate": 24000, **(engine or {})}
        watch(Engine("made", made.__name__, "", (Entry("speak", **entry),), seams, **table))
        return made.speak

    return make


# --- kinds of callables -----------------------------------------------------------------------------------


def plain(text: str) -> Any:
    return HALF_A_SECOND


async def coroutine(text: str) -> Any:
    await asyncio.sleep(0)
    return HALF_A_SECOND


def generator(text: str) -> Any:
    yield from np.split(HALF_A_SECOND, 4)


async def async_generator(text: str) -> Any:
    for piece in np.split(HALF_A_SECOND, 4):
        await asyncio.sleep(0)
        yield piece


def disguised(function: Any) -> Any:
    """As a decorator that is a plain function leaves it."""

    def call(text: str) -> Any:
        return function(text)

    return call


async def returns_async_generator(text: str) -> Any:
    return async_generator(text)


def to_audio(result: Any) -> np.ndarray:
    """Run what an entry of any kind returned to its end."""
    if hasattr(result, "__await__"):
        result = asyncio.run(awaited(result))
    elif hasattr(result, "__anext__"):
        result = asyncio.run(collect(result))
    return result if isinstance(result, np.ndarray) else np.concatenate(list(result))


async def awaited(result: Any) -> Any:
    result = await result
    return await collect(result) if hasattr(result, "__anext__") else result


KINDS = {
    "function": plain,
    "coroutine function": coroutine,
    "generator": generator,
    "async generator": async_generator,
    "function that returns a generator": disguised(generator),
    "function that returns a coroutine": disguised(coroutine),
    "function that returns an async generator": disguised(async_generator),
    "coroutine function that returns an async generator": returns_async_generator,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_callable_is_one_synthesis(world, hooked, kind) -> None:
    seen = world()
    samples = to_audio(hooked(KINDS[kind])("hello"))
    assert samples.tobytes() == HALF_A_SECOND.tobytes()
    (span,) = seen.drain().spans
    attributes = span.attributes
    assert span.name == "text_to_speech"
    assert attributes["tts.outcome"] == "ok"
    assert attributes["tts.text.length"] == 5
    assert attributes["tts.audio.duration"] == 0.5
    assert attributes["tts.real_time_factor"] > 0
    assert attributes.get("tts.stream", False) is ("generator" in kind)
    assert attributes.get("tts.stream.chunks") == (4 if "generator" in kind else None)
    assert attributes["tts.time_to_first_byte"] >= 0
    assert guard.faults == {}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("function that")])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_what_is_returned_to_be_run_and_never_is_ends_as_cancelled(world, hooked, kind) -> None:
    seen = world()
    rest = hooked(KINDS[kind])("hello")
    if hasattr(rest, "cr_frame"):
        rest.close()
    del rest
    gc.collect()
    assert [span.attributes["tts.outcome"] for span in seen.drain().spans] == ["cancelled"]
    assert seen.recorder.open == {}


def test_a_stream_that_is_never_started_leaves_nothing(world, hooked) -> None:
    seen = world()
    hooked(generator)("hello")
    gc.collect()
    assert seen.drain().spans == []


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_arguments_fail_when_and_as_they_did(world, hooked, kind) -> None:
    world()
    speak = hooked(KINDS[kind])
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'text'"):
        speak()


# --- what comes out ---------------------------------------------------------------------------------------


class Tensor:
    """What torch gives, on the host or on a device that must not be read."""

    def __init__(self, values: np.ndarray, device: str = "cpu") -> None:
        self._values, self.shape, self.dtype = values, values.shape, "torch.float32"
        self.device = type("device", (), {"type": device})()

    def detach(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        assert self.device.type == "cpu", "read from the device"
        return self._values


RESULTS = {
    "array": (HALF_A_SECOND, Chunk()),
    "rate and samples": ((24000, HALF_A_SECOND), Chunk(samples=1, rate=0)),
    "rate as a number": (HALF_A_SECOND, Chunk(rate=24000)),
    "rate as a float": (HALF_A_SECOND, Chunk(rate=24000.0)),
    "attributes": (type("Audio", (), {"wave": HALF_A_SECOND, "rate": 24000}), Chunk(samples="wave", rate="rate")),
    "keys": ({"wave": HALF_A_SECOND, "rate": 24000}, Chunk(samples="wave", rate="rate")),
    "list of arrays": (np.split(HALF_A_SECOND, 3), Chunk()),
    "list of arrays and a rate": ((np.split(HALF_A_SECOND, 3), 24000), Chunk(samples=0, rate=1)),
    "list of numbers": (HALF_A_SECOND.tolist(), Chunk()),
    "channels first": (HALF_A_SECOND[None, :], Chunk()),
    "tensor": (Tensor(HALF_A_SECOND[None, :]), Chunk()),
    "tensor on a device": (Tensor(HALF_A_SECOND[None, :], "cuda"), Chunk()),
    "list of tensors on a device": ([Tensor(HALF_A_SECOND[:6000], "cuda")] * 2, Chunk()),
}


@pytest.mark.parametrize("name", RESULTS)
def test_samples_are_found_in_what_is_returned(world, hooked, name) -> None:
    result, chunk = RESULTS[name]
    rated = chunk.rate is not None
    seen = world()
    speak = hooked(lambda text: result, chunk=chunk, engine={"sample_rate": None} if rated else None)
    assert speak("hello") is result
    attributes = seen.drain().span("text_to_speech").attributes
    assert attributes["tts.audio.duration"] == 0.5
    assert attributes["tts.audio.sample_rate"] == 24000
    assert attributes.get("tts.audio.peak") == (None if "device" in name else 0.5)
    assert guard.faults == {}


UNREADABLE = (object(), "path.wav", 7, {}, (), b"\0\1", (1, 2, 3), [None], float("nan"), {"wave": None})


@pytest.mark.parametrize("result", UNREADABLE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("chunk", [Chunk(), Chunk(samples=1, rate=0), Chunk(samples="wave", rate="rate"), None])
def test_what_holds_no_samples_is_returned_as_it_is(world, hooked, result, chunk) -> None:
    seen = world()
    assert hooked(lambda text: result, chunk=chunk)("hello") is result
    assert len(seen.drain().spans) == 1


@pytest.mark.parametrize("function", [lambda text: None, lambda text: HALF_A_SECOND[:0], lambda text: iter_nothing()])
def test_no_audio_where_some_was_to_come_is_not_a_success(world, hooked, function) -> None:
    seen = world()
    result = hooked(function)("hello")
    if hasattr(result, "__next__"):
        assert list(result) == []
    attributes = seen.drain().span("text_to_speech").attributes
    assert attributes["tts.outcome"] == "anomalous"
    assert attributes["tts.audio.anomaly"] == ("empty",)


def iter_nothing() -> Any:
    yield from ()


def test_none_between_the_chunks_of_a_stream_is_no_audio(world, hooked) -> None:
    def stream(text):
        yield None
        yield HALF_A_SECOND
        yield None

    seen = world()
    assert len(list(hooked(stream)("hello"))) == 3
    attributes = seen.drain().span("text_to_speech").attributes
    assert attributes["tts.audio.duration"] == 0.5
    assert attributes["tts.stream.chunks"] == 1


@pytest.mark.parametrize("length", [0, 1, 1_000_000])
def test_the_length_of_any_text_is_noted_and_nothing_else_of_it(world, hooked, length) -> None:
    text = "\N{SPEAKER}" * length
    seen = world()
    hooked(plain)(text)
    hooked(plain)(text=text)
    for span in seen.drain().spans:
        assert span.attributes["tts.text.length"] == length
        assert "\N{SPEAKER}" not in repr(span.attributes)


def test_a_list_of_texts_counts_all_its_characters(world, hooked) -> None:
    seen = world()
    hooked(plain)(["ab", "cde", None])
    assert seen.drain().span("text_to_speech").attributes["tts.text.length"] == 5


# --- what goes wrong --------------------------------------------------------------------------------------


class EngineError(RuntimeError):
    pass


def broken(after: int) -> dict[str, Any]:
    """An engine of each kind that raises after `after` chunks, where it has chunks."""

    def function(text):
        raise EngineError(text)

    async def later(text):
        raise EngineError(text)

    def stream(text):
        for _ in range(after):
            yield HALF_A_SECOND
        raise EngineError(text)

    async def stream_later(text):
        for _ in range(after):
            yield HALF_A_SECOND
        raise EngineError(text)

    async def returns_stream(text):
        return stream_later(text)

    return {
        "function": function,
        "coroutine function": later,
        "generator": stream,
        "async generator": stream_later,
        "function that returns a generator": disguised(stream),
        "function that returns a coroutine": disguised(later),
        "function that returns an async generator": disguised(stream_later),
        "coroutine function that returns an async generator": returns_stream,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [0, 2])
def test_the_engines_exception_comes_through_and_its_message_stays(world, hooked, kind, after) -> None:
    seen = world()
    speak = hooked(broken(after)[kind])
    with pytest.raises(EngineError, match="secret"):
        to_audio(speak("secret"))
    (span,) = seen.drain().spans
    assert span.attributes["tts.outcome"] == "error"
    assert span.attributes["error.type"].endswith("EngineError")
    assert "secret" not in span.to_json()


@pytest.mark.parametrize("seams, expected", [((Seam("think", "model"),), "rejected"), ((), "error")])
def test_a_refusal_before_any_stage_is_rejected_where_there_are_stages(world, hooked, seams, expected) -> None:
    def refuse(text):
        raise ValueError(text)

    seen = world()
    with pytest.raises(ValueError, match="secret"):
        hooked(refuse, seams=seams)("secret")
    (span,) = seen.drain().spans
    assert span.attributes["tts.outcome"] == expected
    assert "secret" not in span.to_json()


def test_a_stream_left_half_way_is_cancelled(world, hooked) -> None:
    seen = world()
    stream = hooked(generator)("hello")
    next(stream)
    stream.close()
    attributes = seen.drain().span("text_to_speech").attributes
    assert attributes["tts.outcome"] == "cancelled"
    assert attributes["tts.audio.duration"] == 0.125


NONSENSE = (object(), np.zeros(3), {"a": 1}, [1, 2], lambda: None, b"bytes", float("inf"), "x" * 10_000)


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: type(value).__name__)
def test_a_reader_may_return_anything(world, hooked, nonsense) -> None:
    def read(call):
        return nonsense

    seen = world()
    facts = {"tts.emotion.mode": read}
    entry = {"text": read, "voice": read, "language": read, "model": read, "sample_rate": read, "facts": facts}
    assert hooked(plain, **entry)("hello") is HALF_A_SECOND
    (span,) = seen.drain().spans
    assert span.attributes["tts.outcome"] == "ok"
    assert span.attributes["tts.audio.duration"] == 0.5
    assert "0x" not in repr(span.attributes), "no object's text became a value"
    assert guard.faults == {}


def test_a_reader_that_raises_costs_its_fact_only(world, hooked, caplog) -> None:
    def read(call):
        raise RuntimeError("secret")

    seen = world()
    with caplog.at_level(logging.WARNING):
        speak = hooked(plain, voice=read, language=lambda call: "en", facts={"tts.emotion.mode": "self.missing.deep"})
        speak("hello")
        speak("hello")
    for span in seen.drain().spans:
        assert span.attributes["tts.text.language"] == "en"
        assert "tts.voice" not in span.attributes
    assert guard.faults == {"reader": 2}
    (warning,) = caplog.messages
    assert "secret" not in warning


def test_facts_become_plain_values(world, hooked) -> None:
    class Mood(str, enum.Enum):
        CALM = "calm"

    def speak(text, mood, voice, cached, size):
        return HALF_A_SECOND

    seen = world()
    facts = {"tts.emotion.mode": "mood", "tts.reference.cache_hit": "cached", "tts.reference.duration": "size"}
    hooked(speak, voice="voice", facts=facts)("hi", Mood.CALM, Path("a/b.wav"), np.bool_(True), np.float32(0.5))
    attributes = seen.drain().span("text_to_speech").attributes
    assert attributes["tts.emotion.mode"] == "calm"
    assert attributes["tts.reference.cache_hit"] is True
    assert attributes["tts.reference.duration"] == 0.5
    assert attributes["tts.voice"].startswith("v-")


class Compiled:
    """A callable that has no signature and cannot be hashed, as extension modules may have."""

    __hash__ = None
    __signature__ = property(lambda self: (_ for _ in ()).throw(ValueError("no signature")))

    def __call__(self, *args, **kwargs):
        return HALF_A_SECOND


def test_a_callable_without_a_signature_is_traced(world, module) -> None:
    seen, name = world(), module("")
    made = importlib.import_module(name)
    made.speak = Compiled()
    watch(Engine("made", name, "", (Entry("speak"),), sample_rate=24000))
    assert made.speak("hello") is HALF_A_SECOND
    assert made.speak(text="hello") is HALF_A_SECOND
    lengths = [span.attributes.get("tts.text.length") for span in seen.drain().spans]
    assert lengths == [None, 5]


HOOK_PARTS = [
    (Synthesis, "__init__"), (Synthesis, "start"), (Synthesis, "finish"), (Synthesis, "audio"),
    (Synthesis, "delivered"), (Stages, "close"), (StageSpan, "__init__"), (StageSpan, "open"), (StageSpan, "close"),
    (Recorder, "begin"), (Recorder, "finish"), (Identities, "sample"), (Sound, "add"), (Sound, "delivered"),
    (entries, "bind"), (facts, "fact"), (facts, "length"), (entries, "current"),
    (entries, "_rest_of"), (seam, "current"), (entries._EntryCall, "_facts"),
    (Delivery, "returned"), (Delivery, "item"), (Delivery, "ended"),
]  # fmt: skip


@pytest.fixture
def whole_engine(module):
    name = module("""
        import numpy
        def think(text):
            return [0.1 * (i + 1) for i in range(len(text))]
        def vocode(level):
            return numpy.full(2400, level, numpy.float32)
        def stream(text):
            for level in think(text):
                yield vocode(level)
        def speak(text):
            if text == "!":
                raise KeyError(text)
            return numpy.concatenate(list(stream(text)))
        async def later(text):
            return speak(text)
        async def stream_later(text):
            for piece in stream(text):
                yield piece
    """)
    engine = importlib.import_module(name)
    results = everything(engine)
    names = ("speak", "stream", "later", "stream_later")
    seams = (Seam("think", "acoustic_model"), Seam("vocode", "vocoder"))
    entries = tuple(Entry(name, voice="voice") for name in names)
    watch(Engine("made", name, "", entries, seams, sample_rate=24000))
    return engine, results


def everything(engine: Any) -> list[bytes]:
    chunks = [
        engine.speak("abc"), *engine.stream("abc"), asyncio.run(engine.later("abc")),
        *asyncio.run(collect(engine.stream_later("abc"))),
    ]  # fmt: skip
    with pytest.raises(KeyError):
        engine.speak("!")
    with pytest.raises(KeyError):
        asyncio.run(engine.later("!"))
    return [chunk.tobytes() for chunk in chunks]


@pytest.mark.parametrize(("owner", "part"), HOOK_PARTS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_fault_in_a_hook_changes_nothing(world, whole_engine, monkeypatch, owner, part, after) -> None:
    seen, (engine, expected) = world(), whole_engine
    original, injected = getattr(owner, part), []

    def fail(*args: Any, **kwargs: Any) -> Any:
        injected.append(part)
        if after:
            original(*args, **kwargs)
        raise RuntimeError("injected")

    monkeypatch.setattr(owner, part, fail)
    assert everything(engine) == expected
    assert injected, "the hooks no longer use what this test breaks"
    assert guard.faults, "the fault was not counted"
    assert not trace.get_current_span().get_span_context().is_valid
    monkeypatch.undo()
    seen.drain()
    before = len(seen.spans)
    engine.speak("abc")
    assert len(seen.drain().spans) == before + 5, "the next request is traced again"
    # Requests whose end was broken would stay, with their samples: the process keeps its recorders for os.fork.
    seen.recorder.open.clear()
    seen.log_memory.clear()


def test_a_slow_hook_changes_nothing(world, whole_engine, monkeypatch) -> None:
    world()
    engine, expected = whole_engine
    original = Synthesis.audio

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.01)
        return original(*args, **kwargs)

    monkeypatch.setattr(Synthesis, "audio", slow)
    assert everything(engine) == expected


# --- one inside the other ---------------------------------------------------------------------------------


def test_an_entry_inside_another_joins_it_and_its_audio_counts_once(world, whole_engine) -> None:
    seen, (engine, _) = world(), whole_engine
    engine.speak("abc")
    spans = seen.drain().spans
    assert [span.name for span in spans] == ["tts.acoustic_model", *["tts.vocoder"] * 3, "text_to_speech"]
    attributes = spans[-1].attributes
    assert attributes["tts.audio.duration"] == pytest.approx(0.3)
    assert "tts.stream" not in attributes


def test_an_own_synthesis_around_calls_adds_them_up_and_learns_the_engine(world, whole_engine) -> None:
    seen, (engine, _) = world(), whole_engine
    with otel_tts.synthesis("big", text="abcdef", request_id="r1") as synthesis:
        engine.speak("abc")
        list(engine.stream("def"))
    attributes = seen.drain().span("text_to_speech big").attributes
    assert synthesis.attrs["request_id"] == "r1"
    assert attributes["tts.engine.name"] == "made"
    assert attributes["tts.text.length"] == 6
    assert attributes["tts.audio.duration"] == pytest.approx(0.6)
    assert attributes["tts.cold_start"] is True
    assert seen.names().count("text_to_speech big") == 1
    engine.speak("abc")
    assert "tts.cold_start" not in seen.drain().span("text_to_speech").attributes


def test_calls_inside_an_own_block_add_up_to_one_text_and_one_piece_of_audio(world, whole_engine) -> None:
    """Else the audio of ten sentences would be too long for the text of the first."""
    seen, (engine, _) = world(), whole_engine
    with otel_tts.synthesis("big"):
        for _ in range(3):
            engine.speak("abcd")
            list(engine.stream("ef"))
            engine.vocode(0.5)
    attributes = seen.drain().span("text_to_speech big").attributes
    assert attributes["tts.text.length"] == 18
    assert attributes["tts.audio.duration"] == pytest.approx(1.8)


@pytest.mark.parametrize("kind", ["function", "generator"])
def test_different_entries_inside_an_own_block_add_up(world, module, kind) -> None:
    seen, name = world(), module("")
    made = importlib.import_module(name)
    made.one, made.two = KINDS[kind], disguised(KINDS[kind])
    watch(Engine("made", name, "", (Entry("one"), Entry("two")), sample_rate=24000))
    with otel_tts.synthesis("big") as synthesis:
        to_audio(made.one("abc"))
        to_audio(made.two(text="de"))
        to_audio(made.one("f"))
    attributes = seen.drain().span("text_to_speech big").attributes
    assert synthesis.source is not None
    assert attributes["tts.audio.duration"] == pytest.approx(1.5)


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_an_entry_inside_a_stream_inside_an_own_block_counts_once(world, module, kind) -> None:
    """A stream's text is the whole text: what it hands on to another entry, part by part, is not another one."""
    source = f"""
        import numpy
        {"async " * (kind == "async generator")}def stream(text):
            for part in text.split():
                yield say(part)
        def say(text):
            return numpy.full(2400, 0.5, numpy.float32)
    """
    seen, name = world(), module(source)
    made = importlib.import_module(name)
    watch(Engine("made", name, "", (Entry("stream"), Entry("say")), sample_rate=24000))
    with otel_tts.synthesis("big"):
        to_audio(made.stream("a b c"))
    attributes = seen.drain().span("text_to_speech big").attributes
    assert attributes["tts.text.length"] == 5
    assert attributes["tts.audio.duration"] == pytest.approx(0.3)
    made.stream("never taken")


@pytest.mark.parametrize("how", ["tasks", "threads"])
def test_calls_side_by_side_in_an_own_block_add_up(world, module, how) -> None:
    """Sentences that are spoken at once are not inside each other."""
    source = """
        import asyncio, numpy
        async def later(text):
            await asyncio.sleep(0.01)
            return numpy.full(2400, 0.5, numpy.float32)
        def wait(text, here):
            here.wait(10)
            return numpy.full(2400, 0.5, numpy.float32)
    """
    seen, name = world(), module(source)
    made = importlib.import_module(name)
    watch(Engine("made", name, "", (Entry("later"), Entry("wait")), sample_rate=24000))

    async def together() -> None:
        with otel_tts.synthesis("big"):
            await asyncio.gather(made.later("abc"), made.later("de"))

    if how == "tasks":
        asyncio.run(together())
    else:
        here = threading.Barrier(2)
        with otel_tts.synthesis("big"), concurrent.futures.ThreadPoolExecutor(2) as pool:
            say = otel_tts.carried(made.wait)
            for spoken in [pool.submit(say, "abc", here), pool.submit(say, "de", here)]:
                spoken.result(10)
    attributes = seen.drain().span("text_to_speech big").attributes
    assert attributes["tts.text.length"] == 5
    assert attributes["tts.audio.duration"] == pytest.approx(0.2)


@pytest.mark.parametrize("kind", ["speak", "stream"])
def test_what_a_call_does_belongs_to_the_callers_span_inside_an_own_block(world, whole_engine, kind) -> None:
    seen, (engine, _) = world(), whole_engine
    with otel_tts.synthesis("big"):
        with seen.tracers.get_tracer("app").start_as_current_span("mine"):
            list(getattr(engine, kind)("a"))
        with otel_tts.stage("acoustic_model"):
            list(getattr(engine, kind)("a"))
    spans = {span.context.span_id: span for span in seen.drain().spans}
    above = [(span.name, spans[span.parent.span_id].name) for span in spans.values() if span.parent is not None]
    assert ("tts.acoustic_model", "mine") in above
    assert ("tts.acoustic_model", "tts.acoustic_model") in above
    (root,) = [span for span in spans.values() if span.parent is None]
    assert root.attributes["tts.segment.count"] == 2, "the outer stage and the call beside it"


def test_an_own_name_for_the_engine_stays(world, whole_engine) -> None:
    seen, (engine, _) = world(), whole_engine
    with otel_tts.synthesis("big", engine="ours"):
        engine.speak("abc")
    attributes = seen.drain().span("text_to_speech big").attributes
    assert attributes["tts.engine.name"] == "ours"
    assert attributes["gen_ai.request.model"] == "big"
    assert attributes["tts.audio.duration"] == pytest.approx(0.3)


def test_samples_given_by_the_caller_replace_the_engines(world, whole_engine) -> None:
    seen, (engine, _) = world(), whole_engine
    with otel_tts.synthesis("big") as synthesis:
        samples = engine.speak("abc")
        synthesis.audio(samples[:2400], 24000)
    assert seen.drain().span("text_to_speech big").attributes["tts.audio.duration"] == pytest.approx(0.1)


def test_a_call_that_outlives_its_synthesis_leaves_its_thread_clean(world, hooked) -> None:
    """A pool's thread would carry the finished request into everything that it does afterwards."""
    seen = world()
    threads.install()
    inside, ended = threading.Event(), threading.Event()

    def slow(text):
        inside.set()
        assert ended.wait(10)
        return HALF_A_SECOND

    speak = hooked(slow)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with otel_tts.synthesis("big"):
                late = pool.submit(speak, "hello")
                assert inside.wait(10)
            seen.drain()
            ended.set()
            assert late.result(10) is HALF_A_SECOND
            left = pool.submit(lambda: (otel_tts.current(), trace.get_current_span().get_span_context().is_valid))
            assert left.result(10) == (None, False)
    finally:
        threads.uninstall()


def test_the_callers_span_is_the_parent_and_stays_current(world, hooked) -> None:
    seen = world()
    tracer = seen.tracers.get_tracer("app")
    speak = hooked(generator)
    with tracer.start_as_current_span("outer") as outer:
        stream = speak("hello")
        with tracer.start_as_current_span("elsewhere"):
            for _ in stream:
                assert trace.get_current_span().name == "elsewhere"
        assert trace.get_current_span() is outer
    assert seen.drain().span("text_to_speech").parent.span_id == outer.get_span_context().span_id

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a table can say beyond names of callables: each field on an engine written for it."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import importlib
import logging
import pickle
import queue
import threading
import time
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard, names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.table import Chunk, Engine, Entry, Seam
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo
from tests.unit.support.faults import check, outcome


def made(name: str, **parts: Any) -> Engine:
    return Engine(**{"name": "made", "module": name, "distribution": "pytest", "entries": (), **parts})


def load(name: str, **parts: Any) -> Any:
    watch(made(name, **parts))
    return importlib.import_module(name)


def root_of(seen: Any) -> Any:
    (root,) = [span for span in seen.drain().spans if span.name.startswith("text_to_speech")]
    return root


# --- where facts stand ------------------------------------------------------------------------------------------------

STRUCTS = """
    import numpy
    from types import SimpleNamespace

    class Voice:
        config = {"rate": {"hz": 16000}}
        def speak(self, req, **options):
            return SimpleNamespace(audio=(24000, think(req)), code="final")

    def think(req):
        return numpy.full(2400, 0.5, numpy.float32)
"""


def test_facts_in_dictionaries_objects_and_tuples(world, module) -> None:
    seen = world()
    entry = Entry(
        "Voice.speak", text="req.text", voice="req.voices.0", language="req.lang", sample_rate="self.config.rate.hz",
        chunk=Chunk(samples="audio.1", rate="audio.0"), facts={names.EMOTION_MODE: "req.nowhere.at.all"},
    )  # fmt: skip
    engine = load(module(STRUCTS), entries=(entry,), presets=frozenset({"anna"}))
    engine.Voice().speak({"text": "hello", "voices": ["anna"], "lang": "en"})
    attributes = root_of(seen).attributes
    assert attributes[names.TEXT_LENGTH] == 5
    assert attributes[names.VOICE] == "anna"
    assert attributes[names.TEXT_LANGUAGE] == "en"
    assert attributes[names.AUDIO_SAMPLE_RATE] == 24000
    assert attributes[names.AUDIO_DURATION] == pytest.approx(0.1)
    assert names.EMOTION_MODE not in attributes
    assert not guard.faults


def test_facts_and_segments_of_a_stage(world, module) -> None:
    seen = world()
    seam = Seam(
        "think", "acoustic_model", segments=lambda call: len(call.arguments["req"]["parts"]),
        facts={names.REFERENCE_CACHE_HIT: "req.cached", names.EMOTION_MODE: "req.tensor"},
    )  # fmt: skip
    entry = Entry("Voice.speak", text=None, chunk=Chunk(samples="audio.1", rate="audio.0"))
    engine = load(module(STRUCTS), entries=(entry,), seams=(seam,))
    engine.Voice().speak({"parts": [1, 2, 3], "cached": True, "tensor": object()})
    assert root_of(seen).attributes[names.SEGMENT_COUNT] == 3
    stage = seen.span("tts.acoustic_model")
    assert stage.attributes[names.STAGE_SEGMENTS] == 3
    assert stage.attributes[names.REFERENCE_CACHE_HIT] is True
    assert names.EMOTION_MODE not in stage.attributes


def test_a_reader_that_raises_costs_its_fact_only(world, module) -> None:
    seen = world()
    seam = Seam("think", "model", segments=lambda call: 1 // 0, facts={names.VOICE: lambda call: call.nothing},
                streams=lambda call: call.nothing)  # fmt: skip
    engine = load(module(STRUCTS), entries=(Entry("Voice.speak", chunk=None),), seams=(seam,))
    engine.Voice().speak({})
    assert seen.drain().names() == ["tts.model", "text_to_speech"]


# --- names and versions -----------------------------------------------------------------------------------------------

PLAIN = """
    import numpy
    def speak(text):
        return vocode(len(text))
    def vocode(size):
        return numpy.full(size * 100, 0.5, numpy.float32)
"""


def test_what_is_missing_costs_its_stage_and_one_warning(world, module, caplog) -> None:
    seen, name = world(), module(PLAIN)
    parts: dict[str, Any] = {
        "entries": (Entry("speak", sample_rate=24000), Entry("speak_all", optional=True)),
        "seams": (
            Seam("think", "acoustic_model"),
            Seam("vocode", "vocoder"),
            Seam("older", "model", optional=True),
            Seam("run", "model", module="no_such_module_of_an_extra", optional=True),
        ),
        "locks": ("lock",),
        "load": (f"{name}:load_model",),
    }
    with caplog.at_level(logging.WARNING, "otel_tts"):
        engine = load(name, **parts)
        for _ in range(3):
            assert len(engine.speak("hello")) == 500
    said = [record.getMessage() for record in caplog.records]
    assert [[word for word in ("think", "lock", "load_model") if word in line] for line in said] == [
        ["think"], ["lock"], ["load_model"],
    ]  # fmt: skip
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech"] * 3
    missing = look(made(name, **parts), Installed()).missing
    assert set(missing) == {f"{name}.{gone}" for gone in ("think", "lock", "load_model")}


def test_a_function_that_another_module_shows_again_is_hooked_once(world, module) -> None:
    seen, inner = world(), module(PLAIN)
    outer = module(f"from {inner} import speak, vocode")
    entries = (Entry("speak", sample_rate=24000), Entry("speak", module=inner, sample_rate=24000))
    engine = load(outer, entries=entries, seams=(Seam("vocode", "vocoder", module=inner),))
    engine.speak("hello")
    importlib.import_module(inner).speak("hello")
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech"] * 2


def test_a_model_loaded_by_another_module(world, module) -> None:
    seen, other = world(), module("def load_model(path):\n    return path\n")
    load(module(PLAIN), load=(f"{other}:load_model",))
    assert importlib.import_module(other).load_model("path") == "path"
    assert seen.drain().points("tts.model.load.duration")


# --- generators that are dropped, errors that are handed over ---------------------------------------------------------

STREAMS = """
    import numpy
    from types import SimpleNamespace

    closed = []

    def speak(text, stream=False, fail=None, parts=2):
        "As fish-speech: a header, segments, the whole once more; an error is an item."
        try:
            if stream:
                yield SimpleNamespace(code="header", audio=(24000, numpy.array(b"RIFF")), error=None)
            for _ in range(parts):
                segment = next(think(text))
                if stream:
                    yield SimpleNamespace(code="segment", audio=(24000, segment), error=None)
            if fail is not None:
                yield SimpleNamespace(code="error", audio=None, error=fail)
                return
            yield SimpleNamespace(code="final", audio=(24000, numpy.tile(think_once(), parts)), error=None)
        finally:
            closed.append(text)

    def think_once():
        return numpy.tile(numpy.float32([0.5, -0.5]), 1200)

    def think(text, all=False):
        kept.append(numpy.tile(numpy.float32([0.5, -0.5]), 1200))
        yield kept[-1]
        if all:
            yield kept[-1]

    kept = []

    def whole(text, fail=None):
        return SimpleNamespace(audio=(24000, think_once()), error=fail)
"""


def select(call: Any, item: Any) -> Any:
    wanted = "segment" if call.arguments.get("stream") else "final"
    return item.audio[1] if item.code == wanted else None


FISH = Entry(
    "speak",
    chunk=Chunk(select=select, rate="audio.0"),
    facts={names.STREAM: lambda call: bool(call.arguments.get("stream"))},
    error="error",
    last=lambda call, item: item.code in ("final", "error"),
)
THINK = Seam("think", "acoustic_model", last=lambda call, item: not call.arguments.get("all"))


def test_headers_are_no_audio_and_the_whole_does_not_count_twice(world, module) -> None:
    seen = world()
    engine = load(module(STREAMS), entries=(FISH,), seams=(THINK,))
    items = list(engine.speak("hello", stream=True))
    assert [item.code for item in items] == ["header", "segment", "segment", "final"]
    attributes = root_of(seen).attributes
    assert attributes[names.AUDIO_DURATION] == pytest.approx(0.2)
    assert attributes[names.STREAM_CHUNKS] == 2
    assert attributes[names.SEGMENT_COUNT] == 2
    assert attributes[names.OUTCOME] == "ok"


def test_a_generator_that_is_kept_after_its_last_item_is_over(world, module) -> None:
    seen = world()
    engine = load(module(STREAMS), entries=(FISH,), seams=(THINK,))
    stream = engine.speak("hello")
    assert next(stream).code == "final"
    attributes = root_of(seen).attributes
    assert (attributes[names.OUTCOME], attributes[names.STREAM]) == ("ok", False)
    assert engine.closed == []
    with pytest.raises(StopIteration):
        next(stream)
    assert engine.closed == ["hello"]
    assert len(seen.drain().spans) == 3


def test_an_async_generator_that_is_kept_after_its_last_item_is_over(world, module) -> None:
    seen = world()
    source = """
        async def speak(text):
            for word in text.split():
                yield word
    """
    last = Entry("speak", chunk=None, last=lambda call, item: item == "b")
    engine = load(module(source), entries=(last,))

    async def take() -> list[str]:
        stream = engine.speak("a b c")
        taken = [await stream.__anext__(), await stream.__anext__()]
        assert root_of(seen).attributes[names.OUTCOME] == "ok"
        return [*taken, *[item async for item in stream]]

    assert asyncio.run(take()) == ["a", "b", "c"]
    assert seen.drain().names() == ["text_to_speech"]
    assert not guard.faults


@pytest.mark.parametrize("error", [RuntimeError("secret"), "secret"])
def test_an_error_that_is_an_item_makes_the_request_one(world, module, error) -> None:
    seen = world()
    engine = load(module(STREAMS), entries=(FISH, Entry("whole", chunk=Chunk(samples="audio.1"), error="error")))
    assert [item.code for item in engine.speak("hello", fail=error)] == ["error"]
    assert engine.whole("hello", fail=error).error is error
    spans = seen.drain().spans
    expected = "RuntimeError" if isinstance(error, RuntimeError) else "_OTHER"
    assert [(span.attributes[names.OUTCOME], span.attributes[names.ERROR_TYPE]) for span in spans] == [
        ("error", expected)
    ] * 2
    assert "secret" not in str([span.to_json() for span in spans])


def test_a_stage_ends_with_its_last_item_though_somebody_keeps_the_generator(world, module, clock) -> None:
    seen = world()
    engine = load(module(STREAMS), entries=(Entry("whole", chunk=None),), seams=(THINK,))
    with seen.synthesis():
        thinking = engine.think("hello")
        clock.tick(1)
        next(thinking)
        clock.tick(5)
        with pytest.raises(StopIteration):
            next(thinking)
    stage = seen.drain().span("tts.acoustic_model")
    assert stage.end_time == stage.start_time
    assert stage.status.is_unset


def test_a_stage_whose_items_all_count_goes_on(world, module, clock) -> None:
    seen = world()
    engine = load(module(STREAMS), entries=(Entry("whole", chunk=None),), seams=(THINK,))
    with seen.synthesis():
        for _ in engine.think("hello", all=True):
            clock.tick(1)
    stage = seen.drain().span("tts.acoustic_model")
    assert stage.end_time - stage.start_time == 2_000_000_000


def test_send_and_throw_reach_a_generator_after_its_last_item(world, module) -> None:
    seen = world()
    source = """
        def think():
            got = yield 1
            try:
                yield got
            except KeyError:
                yield "thrown"
            return "returned"
    """
    engine = load(module(source), seams=(Seam("think", "model", last=lambda call, item: True),))
    with seen.synthesis():
        thinking = engine.think()
        assert next(thinking) == 1
        assert thinking.send("sent") == "sent"
        assert thinking.throw(KeyError()) == "thrown"
        with pytest.raises(StopIteration) as ended:
            next(thinking)
        assert ended.value.value == "returned"
    assert seen.drain().names() == ["tts.model", "text_to_speech"]


# --- retries ----------------------------------------------------------------------------------------------------------

RETRIES = """
    import numpy
    def speak(text, tries):
        return numpy.concatenate([segment(number) for number in tries])
    def segment(tries):
        for _ in range(tries):
            found = infer()
        return found
    def infer():
        return numpy.full(240, 0.5, numpy.float32)
"""


@pytest.mark.parametrize(("tries", "retries"), [((1, 1, 1), None), ((1, 3), 2), ((2, 2, 1), 2)])
def test_attempts_inside_one_segment_are_retries(world, module, tries, retries) -> None:
    seen = world()
    seams = (Seam("segment", "model"), Seam("infer", "acoustic_model", attempts=True))
    load(module(RETRIES), entries=(Entry("speak", sample_rate=24000),), seams=seams).speak("hello", tries)
    assert root_of(seen).attributes.get(names.RETRIES) == retries


# --- a queue's jobs ---------------------------------------------------------------------------------------------------

WORKER = """
    import queue, threading
    from dataclasses import dataclass
    import numpy

    @dataclass
    class Request:
        request: dict
        answers: queue.Queue
        priority: int = 0

    def start():
        jobs = queue.Queue()
        def work():
            while (item := jobs.get()) is not None:
                try:
                    for codes in generate(**item.request):
                        item.answers.put(codes)
                    item.answers.put(None)
                except Exception as error:
                    item.answers.put(error)
        threading.Thread(target=work, daemon=True).start()
        return jobs

    def generate(text, fail=False, before=None):
        for part in text.split():
            if before is not None:
                before()
            if fail:
                raise RuntimeError(text)
            yield embed(part)

    def embed(part):
        return len(part)

    def speak(jobs, text, **options):
        answers = queue.Queue()
        jobs.put(Request({"text": text, **options}, answers))
        while (codes := answers.get()) is not None:
            if isinstance(codes, Exception):
                raise codes
            yield vocode(codes)

    def vocode(codes):
        return numpy.full(codes * 100, 0.5, numpy.float32)
"""
PARTS: dict[str, Any] = {
    "entries": (Entry("speak", sample_rate=24000),),
    "seams": (
        Seam("generate", "acoustic_model", job="Request.request"),
        Seam("embed", "text_frontend"),
        Seam("vocode", "vocoder"),
    ),
}


@pytest.fixture
def worker(module):
    """An engine whose worker runs before any request; its thread is taken down."""
    engine = load(module(WORKER), **PARTS)
    engine.jobs = engine.start()
    yield engine
    engine.jobs.put(None)


def test_a_worker_that_was_there_before_works_for_the_request(world, worker) -> None:
    seen = world()
    assert [len(chunk) for chunk in worker.speak(worker.jobs, "one three")] == [300, 500]
    root = root_of(seen)
    stage = seen.span("tts.acoustic_model")
    assert stage.parent.span_id == root.context.span_id
    inner = [span for span in seen.spans if span.name == "tts.text_frontend"]
    assert [span.parent.span_id for span in inner] == [stage.context.span_id] * 2
    assert not guard.faults


def test_a_worker_of_an_engine_with_a_stage_clock_works_for_the_request(world, module) -> None:
    seen = world()
    generate, embed, vocode = PARTS["seams"]
    whole = dataclasses.replace(generate, stage="gpt", within="acoustic_model")
    engine = load(module(WORKER), entries=PARTS["entries"], seams=(whole, embed, vocode))
    jobs = engine.start()
    assert [len(chunk) for chunk in engine.speak(jobs, "one three")] == [300, 500]
    jobs.put(None)
    root = root_of(seen)
    outer, inner = seen.span("tts.acoustic_model"), seen.span("tts.gpt")
    assert (outer.parent.span_id, inner.parent.span_id) == (root.context.span_id, outer.context.span_id)
    assert not guard.faults


def test_requests_that_wait_for_one_worker_each_have_their_own_work(world, worker) -> None:
    seen, ready = world(), threading.Barrier(4)

    def ask(words: int) -> None:
        ready.wait(10)
        list(worker.speak(worker.jobs, " ".join(["word"] * words)))

    asking = [threading.Thread(target=ask, args=(count,)) for count in (1, 2, 3, 4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    seen.drain()
    traces: dict[int, list[str]] = {}
    for span in seen.spans:
        traces.setdefault(span.context.trace_id, []).append(span.name)
    shares = sorted((trace.count("tts.acoustic_model"), trace.count("tts.text_frontend")) for trace in traces.values())
    assert shares == [(1, 1), (1, 2), (1, 3), (1, 4)]


def test_what_the_worker_raises_is_its_stages_error_and_the_callers(world, worker) -> None:
    seen = world()
    with pytest.raises(RuntimeError, match="secret"):
        list(worker.speak(worker.jobs, "secret", fail=True))
    assert root_of(seen).attributes[names.OUTCOME] == "error"
    assert seen.span("tts.acoustic_model").attributes[names.ERROR_TYPE] == "RuntimeError"


def test_a_job_of_nobody_belongs_to_nobody(world, worker) -> None:
    seen = world()
    list(worker.speak(worker.jobs, "mine"))
    for _ in range(2):
        answers: queue.Queue[Any] = queue.Queue()
        worker.jobs.put(worker.Request({"text": "nobody's"}, answers))
        assert answers.get(timeout=10) == 8
        assert answers.get(timeout=10) is None
    assert len([span for span in seen.drain().spans if span.name == "tts.acoustic_model"]) == 1


def test_a_job_that_was_read_and_never_worked_on_does_not_lend_its_request(world, module) -> None:
    seen = world()
    engine = load(module(WORKER), **PARTS)
    answers: queue.Queue[Any] = queue.Queue()
    with seen.synthesis():
        refused = engine.Request({"text": "mine"}, answers)
        nobodys = threading.Thread(
            target=lambda: list(engine.generate(**engine.Request({"text": "a b"}, answers).request))
        )

        def work() -> None:
            assert refused.request
            nobodys.run()

        working = threading.Thread(target=work)
        working.start()
        working.join()
    assert seen.drain().names() == ["text_to_speech"]
    assert not guard.faults


def test_a_job_given_up_meanwhile_leaves_no_stage_elsewhere(world, worker) -> None:
    seen, hold = world(), threading.Event()
    first = worker.speak(worker.jobs, "a b", before=lambda: hold.wait(10))
    waiting = threading.Thread(target=lambda: next(first))
    waiting.start()
    second = worker.speak(worker.jobs, "c d e")
    got = threading.Thread(target=lambda: list(second))
    got.start()
    hold.set()
    waiting.join()
    got.join()
    first.close()
    seen.drain()
    roots = {span.context.trace_id: span for span in seen.spans if span.name == "text_to_speech"}
    counts = {
        roots[span.context.trace_id].attributes[names.TEXT_LENGTH]: len(
            [inner for inner in seen.spans if inner.parent and inner.parent.span_id == span.context.span_id]
        )
        for span in seen.spans
        if span.name == "tts.acoustic_model"
    }
    assert counts == {3: 2, 5: 3}


def test_jobs_look_compare_copy_and_pickle_as_before(world, module) -> None:
    here = world()
    engine = load(module(WORKER), **PARTS)
    Request = engine.Request
    with here.synthesis():
        inside = Request({"text": "a"}, None)
        shown = repr(inside)
        assert inside == Request({"text": "a"}, None)
        assert inside != Request({"text": "b"}, None)
        assert pickle.loads(pickle.dumps(inside)) == copy.deepcopy(inside) == copy.copy(inside) == inside
        assert dataclasses.asdict(inside) == {"request": {"text": "a"}, "answers": None, "priority": 0}
        inside.request = {"text": "c"}
        assert inside.request == {"text": "c"}
        del inside.request
        with pytest.raises(AttributeError):
            _ = inside.request
        kept = Request({"text": "d"}, None)
    with pytest.raises(AttributeError):
        _ = Request.request
    undo(HOOKS)
    assert kept.request == {"text": "d"}
    assert repr(Request({"text": "a"}, None)) == shown
    assert "request" not in vars(Request)


@pytest.mark.parametrize("source", [
    "class Request:\n    __slots__ = ('request',)\n",
    "Request = dict\n",
    "from typing import NamedTuple\nclass Request(NamedTuple):\n    request: dict\n",
    "pass\n",
])  # fmt: skip
def test_a_job_that_cannot_be_watched_is_said_and_left_alone(world, module, caplog, source) -> None:
    world()
    name = module(source + "def generate(text):\n    yield text\n")
    with caplog.at_level(logging.WARNING, "otel_tts"):
        engine = load(name, seams=(Seam("generate", "model", job="Request.request"),))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "can be watched" in said
    assert list(engine.generate("a")) == ["a"]


# --- locks ------------------------------------------------------------------------------------------------------------

LOCKED = """
    import asyncio, threading
    import numpy
    lock = threading.Lock()
    again = threading.RLock()
    turn = asyncio.Lock()
    def serve(text):
        with lock:
            return speak(text)
    async def serve_async(text):
        async with turn:
            return speak(text)
    def speak(text):
        with again:
            with again:
                return numpy.full(240, 0.5, numpy.float32)
"""
LOCKS: dict[str, Any] = {
    "entries": (Entry("speak", sample_rate=24000),),
    "locks": ("lock", "again", "turn"),
}


MOMENT = 0.2
"""Seconds: so long that a busy machine comes to wait."""


def hold(lock: Any, seconds: float) -> threading.Thread:
    """Hold `lock` in a thread for a moment from now on."""
    held = threading.Event()

    def keep() -> None:
        with lock:
            held.set()
            time.sleep(seconds)

    thread = threading.Thread(target=keep)
    thread.start()
    held.wait(10)
    return thread


def test_waiting_for_the_servers_lock_is_a_span_before_the_synthesis(world, module) -> None:
    seen, engine = world(), load(module(LOCKED), **LOCKS)
    tracer = seen.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST"):
        engine.serve("free")
        holder = hold(engine.lock, MOMENT)
        engine.serve("hello")
        holder.join()
    waited = seen.drain().span("tts.queue")
    assert waited.end_time - waited.start_time > 0
    assert waited.parent.span_id == seen.span("POST").context.span_id
    assert waited.attributes[names.STAGE] == "queue"
    second = [span for span in seen.spans if span.name == "text_to_speech"][1]
    assert waited.end_time <= second.start_time
    assert sum(count for count, _ in seen.points("tts.queue.duration").values()) == 1


def test_waiting_for_a_lock_inside_a_synthesis_is_its_stage(world, module) -> None:
    seen, engine = world(), load(module(LOCKED), **LOCKS)
    holder = hold(engine.again, MOMENT)
    engine.speak("hello")
    holder.join()
    waited, root = seen.drain().span("tts.queue"), root_of(seen)
    assert waited.parent.span_id == root.context.span_id
    assert waited.end_time - waited.start_time > 0


def test_waiting_in_a_loop(world, module) -> None:
    seen, engine = world(), load(module(LOCKED), **LOCKS)

    async def both() -> None:
        async def keep() -> None:
            async with engine.turn:
                await asyncio.sleep(MOMENT)

        keeping = asyncio.create_task(keep())
        await asyncio.sleep(0)
        with trace.use_span(seen.tracers.get_tracer("web").start_span("POST"), end_on_exit=True):
            await engine.serve_async("hello")
        await keeping

    asyncio.run(both())
    assert seen.drain().span("tts.queue").end_time - seen.span("tts.queue").start_time > 0


def test_locks_are_locks_as_before(world, module) -> None:
    world()
    engine = load(module(LOCKED), **LOCKS)
    lock = engine.lock
    assert lock.acquire() is True
    assert lock.locked()
    assert lock.acquire(blocking=False) is False
    assert lock.acquire(timeout=0.001) is False
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()
    with lock as given:
        assert given is True
    assert not lock.locked()
    undo(HOOKS)
    assert type(engine.lock) is type(threading.Lock())


def test_a_semaphore_lets_in_as_many_as_before(world, module) -> None:
    """-1 seconds are for ever to a lock, and over already to a semaphore."""
    world()
    engine = load(module("import threading; one = threading.Semaphore(1)"), locks=("one",))
    inside: list[str] = []

    def work() -> None:
        with engine.one:
            inside.append("in")
            time.sleep(0.02)
            inside.append("out")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == ["in", "out"] * 3
    assert engine.one.acquire(timeout=0.001) is True
    assert engine.one.acquire(timeout=0.001) is False


def test_without_a_request_waiting_leaves_nothing(world, module) -> None:
    seen, engine = world(), load(module(LOCKED), **LOCKS)
    holder = hold(engine.lock, 0.02)
    with engine.lock:
        pass
    holder.join()
    assert seen.drain().names() == []


# --- errors that an engine keeps to itself ----------------------------------------------------------------------------

HIDES = """
    import numpy
    def speak(text):
        try:
            return think(text)
        except RuntimeError:
            return numpy.zeros(240, numpy.float32)
    def think(text):
        raise RuntimeError(text)
"""


@pytest.mark.parametrize(("hides", "outcome"), [(True, "error"), (False, "anomalous")])
def test_a_stage_that_failed_in_silence(world, module, hides, outcome) -> None:
    seen = world()
    seams = (Seam("think", "acoustic_model"),)
    engine = load(module(HIDES), entries=(Entry("speak", sample_rate=24000),), seams=seams, hides_errors=hides)
    assert not np.any(engine.speak("secret"))
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == outcome
    assert root.attributes.get(names.ERROR_TYPE) == ("RuntimeError" if hides else None)
    assert "secret" not in root.to_json()


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_fault_at_any_line_changes_nothing_of_a_worker_a_lock_a_batch(world, module) -> None:
    """Every field at once; the worker's own thread fails too."""
    source = module(WORKER + "    lock = threading.RLock()\n    other = threading.Lock()\n")
    seams = (
        Seam("generate", "acoustic_model", job="Request.request", last=lambda call, item: item > 99),
        Seam("embed", "text_frontend", facts={names.VOICE: "part.nothing"}, segments=lambda call: 2, attempts=True),
        Seam("vocode", "vocoder", streams="codes.stream", last=lambda call, item: True),
    )
    entry = Entry("speak", sample_rate=24000, error=lambda item: None, last=lambda call, item: len(item) > 300)
    seen, engine = world(), load(source, entries=(entry,), seams=seams, locks=("lock", "other"), hides_errors=True)
    jobs = engine.start()

    def ask() -> list[bytes]:
        with engine.lock, otel_tts.synthesis("m") as one, otel_tts.batch("model", [one]):
            pass
        holder = hold(engine.other, 0.02)
        with engine.other:
            sound = [chunk.tobytes() for chunk in engine.speak(jobs, "one three fourteen")]
        holder.join()
        return sound

    try:
        check(lambda: [outcome(ask)], only=("seam", "job", "lock", "batch", "delivery.item", "delivery._look"))
    finally:
        jobs.put(None)
    seen.drain()

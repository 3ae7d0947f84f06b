# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why a generation ended: steps and their limit as tables read them, of one call, of several, of a stream."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import Any

import pytest

import otel_tts
from otel_tts import guard, names
from otel_tts.engines.table import Call, Entry, Finish, Seam
from tests.unit.instrumentation.test_form import load, root_of

LENGTH, STOP, ABORTED = names.FinishReason.LENGTH, names.FinishReason.STOP, names.FinishReason.ABORTED

ENGINE = """
    import numpy

    def speak(text, limit=8, ends=(5,), fails=None):
        for end in ends:
            try:
                codes = generate(end, limit, fails)
            except KeyError:
                continue
        return numpy.resize([0.2, -0.2], 2400).astype(numpy.float32)

    def generate(end, limit, fails=None):
        if fails is not None:
            raise fails
        return list(range(min(end, limit)))

    def stream(text, limit=8, end=5):
        for code in steps(end, limit):
            yield numpy.resize([0.2, -0.2], 240).astype(numpy.float32)

    def steps(end, limit):
        yield from range(min(end, limit))

    async def listen(text, limit=8, end=5):
        async for code in later(end, limit):
            yield numpy.resize([0.2, -0.2], 240).astype(numpy.float32)

    async def later(end, limit):
        for code in range(min(end, limit)):
            yield code

    async def wait(text, limit=8, end=5):
        await think(end, limit)
        return numpy.resize([0.2, -0.2], 2400).astype(numpy.float32)

    async def think(end, limit):
        return list(range(min(end, limit)))
"""


def whole(call: Call, codes: Any, items: int) -> Finish:
    return Finish(steps=len(codes), limit=call.arguments["limit"])


def counted(call: Call, code: Any, items: int) -> Finish:
    return Finish(steps=items, limit=call.arguments["limit"])


def engine(module: Any, **options: Any) -> Any:
    entries = tuple(Entry(name, sample_rate=24000) for name in ("speak", "stream", "listen", "wait"))
    seams = (
        Seam("generate", "acoustic_model", finish=whole, **options),
        Seam("steps", "acoustic_model", finish=counted),
        Seam("later", "acoustic_model", finish=counted),
        Seam("think", "acoustic_model", finish=whole),
    )
    return load(module(ENGINE), entries=entries, seams=seams)


async def take_all(source: Any) -> None:
    async for _ in source:
        pass


CALLS = {
    "plain": lambda made, end: made.speak("hello", ends=(end,)),
    "generator": lambda made, end: list(made.stream("hello", end=end)),
    "async generator": lambda made, end: asyncio.run(take_all(made.listen("hello", end=end))),
    "coroutine": lambda made, end: asyncio.run(made.wait("hello", end=end)),
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize(("end", "steps", "reason"), [(5, 5, STOP), (8, 8, LENGTH), (99, 8, LENGTH)])
def test_steps_below_the_limit_are_the_models_own_end(world, module, kind, end, steps, reason) -> None:
    seen = world()
    CALLS[kind](engine(module), end)
    told = seen.drain()
    said = {names.FINISH_REASON: reason, names.GENERATION_STEPS: steps, names.GENERATION_LIMIT: 8}
    for name in ("text_to_speech", "tts.acoustic_model"):
        (span,) = (span for span in told.spans if span.name == name)
        assert said.items() <= span.attributes.items(), name
    limited = reason == LENGTH
    root = next(span for span in told.spans if span.name == "text_to_speech")
    assert (names.Anomaly.LIMIT_REACHED in root.attributes.get(names.AUDIO_ANOMALY, ())) is limited
    assert root.attributes[names.OUTCOME] == "ok"  # the audio may be whole all the same
    assert not guard.faults


def test_the_lines_and_the_points_say_it(world, module) -> None:
    seen = world()
    engine(module).speak("hello", ends=(99,))
    told = seen.drain()
    (line,) = (record for record in told.records if record.event_name == names.REQ_SUCCESS)
    assert "finish_reason=length steps=8 limit=8" in line.body
    assert line.attributes[names.FINISH_REASON] == LENGTH
    assert told.points(names.GENERATIONS.name) == {("made", LENGTH): 1}
    assert told.points(names.AUDIO_ANOMALIES.name) == {("limit_reached", "made"): 1}


@pytest.mark.parametrize("fold", [False, True])
def test_of_several_the_worst_reason_and_the_nearest_to_the_limit(world, module, fold) -> None:
    seen = world()
    engine(module, fold=fold).speak("hello", ends=(3, 99, 5))
    told = seen.drain().spans
    root = next(span for span in told if span.name == "text_to_speech")
    assert root.attributes[names.FINISH_REASON] == LENGTH
    assert root.attributes[names.GENERATION_STEPS] == 8
    stages = [span.attributes for span in told if span.name == "tts.acoustic_model"]
    said = [(stage[names.GENERATION_STEPS], stage[names.FINISH_REASON]) for stage in stages]
    assert said == ([(8, LENGTH)] if fold else [(3, STOP), (8, LENGTH), (5, STOP)])


def test_of_attempts_the_last_one_counts(world, module) -> None:
    seen = world()
    engine(module, attempts=True).speak("hello", ends=(99, 99, 5))
    root = root_of(seen)
    assert root.attributes[names.RETRIES] == 2
    assert root.attributes[names.FINISH_REASON] == STOP
    assert names.AUDIO_ANOMALY not in root.attributes


def test_an_exception_breaks_it_off(world, module) -> None:
    seen = world()
    with pytest.raises(RuntimeError):
        engine(module).speak("hello", fails=RuntimeError("purpleotter"))
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "error"
    assert root.attributes[names.FINISH_REASON] == ABORTED
    assert names.GENERATION_STEPS not in root.attributes


def test_what_the_engine_made_good_for_is_not_said_of_the_whole(world, module) -> None:
    seen = world()
    engine(module).speak("hello", fails=KeyError("one"))
    told = seen.drain().spans
    root = next(span for span in told if span.name == "text_to_speech")
    assert root.attributes[names.OUTCOME] == "ok" and names.FINISH_REASON not in root.attributes
    assert next(span for span in told if span.name == "tts.acoustic_model").attributes[names.FINISH_REASON] == ABORTED


def test_a_listener_who_leaves_breaks_it_off_where_it_was(world, module) -> None:
    seen = world()
    stream = engine(module).stream("hello", end=99)
    next(stream), next(stream)
    del stream
    gc.collect()
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "cancelled"
    assert root.attributes[names.FINISH_REASON] == ABORTED
    assert root.attributes[names.GENERATION_STEPS] == 2 and root.attributes[names.GENERATION_LIMIT] == 8


def test_two_requests_at_once_do_not_meet(world, module) -> None:
    seen = world()
    made = engine(module)
    one, other = made.stream("hello", end=2), made.stream("hello", end=99)
    for _ in zip(one, other, strict=False):
        pass
    list(other)
    roots = [span for span in seen.drain().spans if span.name == "text_to_speech"]
    assert {root.attributes[names.FINISH_REASON] for root in roots} == {STOP, LENGTH}


# --- the entry knows ----------------------------------------------------------------------------------------------

REMOTE = """
    import numpy

    async def listen(text, ends="stop"):
        for number in range(3):
            sound = numpy.resize([0.2, -0.2], 2400).astype(numpy.float32)
            yield {"audio": sound, "ends": ends if number == 2 else None}
"""


def last_says(call: Call, item: Any, items: int) -> Finish | None:
    return Finish(reason=item["ends"])


@pytest.mark.parametrize(
    ("ends", "reason", "outcome", "anomalies"),
    [
        ("stop", STOP, "ok", None),
        ("length", LENGTH, "ok", (names.Anomaly.LIMIT_REACHED,)),
        ("aborted", ABORTED, "anomalous", (names.Anomaly.TRUNCATED,)),
        ("purple otter", None, "ok", None),
        (None, None, "ok", None),
        (3, None, "ok", None),
    ],
)
def test_an_entry_reads_what_its_engine_says(world, module, ends, reason, outcome, anomalies) -> None:
    seen = world()
    entry = Entry("listen", chunk=otel_tts.Chunk(samples="audio", rate=24000), finish=last_says)
    made = load(module(REMOTE), entries=(entry,))
    asyncio.run(take_all(made.listen("hello", ends)))
    root = root_of(seen)
    assert root.attributes.get(names.FINISH_REASON) == reason
    assert root.attributes[names.OUTCOME] == outcome
    assert root.attributes.get(names.AUDIO_ANOMALY) == anomalies


def test_an_entry_that_is_left_was_broken_off(world, module) -> None:
    seen = world()
    entry = Entry("listen", chunk=otel_tts.Chunk(samples="audio", rate=24000), finish=last_says)
    made = load(module(REMOTE), entries=(entry,))

    async def leave() -> None:
        async with contextlib.aclosing(made.listen("hello")) as source:
            async for _ in source:
                break

    asyncio.run(leave())
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "cancelled" and root.attributes[names.FINISH_REASON] == ABORTED


# --- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, Finish(), Finish(steps=-1, limit=5), Finish(steps="otter", limit=5)])  # type: ignore[arg-type]
def test_an_answer_that_says_nothing_is_none(world, module, answer) -> None:
    seen = world()
    seam = Seam("generate", "acoustic_model", finish=lambda call, codes, items: answer)
    load(module(ENGINE), entries=(Entry("speak", sample_rate=24000),), seams=(seam,)).speak("hello")
    assert names.FINISH_REASON not in root_of(seen).attributes
    assert not guard.faults


def test_a_reader_that_raises_costs_its_own_fact_only(world, module) -> None:
    seen = world()
    seam = Seam("generate", "acoustic_model", finish=lambda call, codes, items: codes.nothing)
    load(module(ENGINE), entries=(Entry("speak", sample_rate=24000),), seams=(seam,)).speak("hello")
    told = seen.drain()
    assert {span.name for span in told.spans} == {"text_to_speech", "tts.acoustic_model"}
    assert names.FINISH_REASON not in told.spans[-1].attributes
    assert guard.faults["reader"] == 1
    guard.faults.clear()


def test_neither_the_call_nor_its_last_item_is_kept(world, module) -> None:
    world(interval=None)
    made = engine(module)

    class End:
        def __index__(self) -> int:
            return 3

        def __gt__(self, other: int) -> bool:
            return False

    end = End()
    kept = weakref.ref(end)
    list(made.stream("hello", end=end))
    del end
    gc.collect()
    assert kept() is None


def test_own_code_says_it_too(world) -> None:
    import numpy

    seen = world()
    with otel_tts.synthesis("own", text="hello") as synthesis:
        synthesis.audio(numpy.resize([0.2, -0.2], 2400).astype(numpy.float32), 24000)
        synthesis.set(finish_reason="length", steps=500, limit=500)
    root = root_of(seen)
    assert root.attributes[names.FINISH_REASON] == LENGTH
    assert root.attributes[names.GENERATION_LIMIT] == 500
    assert root.attributes[names.AUDIO_ANOMALY] == (names.Anomaly.LIMIT_REACHED,)

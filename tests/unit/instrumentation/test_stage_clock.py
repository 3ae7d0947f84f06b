# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Marks: an engine whose stages are lines of one function says by a call which of them begins."""

from __future__ import annotations

import gc
import importlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard, names
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Mark, Seam, Stage
from otel_tts.instrumentation.calls import mark
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo
from otel_tts.recording.stage import StageSpan as OpenStage

SOURCE = """
    import numpy as np
    from opentelemetry import trace

    class Speaker:
        kept = False
        trouble = None
        seen = None

        def say(self, text, stream=False):
            if stream:
                return self.steps(text, stream)
            try:
                return list(self.steps(text, stream))[0]
            except IndexError:
                return None

        def steps(self, text, stream=False):
            self.progress(0)
            self.note()
            self.fail("reference")
            self.progress(0.1)
            words = self.split(text)
            self.fail("text")
            parts = []
            for at, word in enumerate(words):
                self.progress(0.2 + 0.7 * at / len(words))
                self.prepare()
                codes = self.codes(word)
                self.fail("codes")
                parts.append(self.sound(self.flow(codes)))
                if stream:
                    yield parts[-1]
            self.progress(0.9)
            self.fail("saving")
            if not stream:
                yield np.concatenate(parts)

        def progress(self, value):
            return value

        def split(self, text):
            return text.split()

        def note(self):
            self.seen = trace.get_current_span()

        def prepare(self):
            pass

        def codes(self, word):
            self.note()
            self.fail("gpt")
            return len(word)

        def flow(self, codes):
            return codes * 1000

        def sound(self, size):
            return 0.5 * np.sin(np.arange(size, dtype=np.float32))

        def fail(self, where):
            if self.trouble is not None and self.trouble[0] == where:
                raise self.trouble[1]
"""
TEXT = "one two"
AUDIO = [*(0.5 * np.sin(np.arange(3000, dtype=np.float32)))] * 2
SEGMENT = ["acoustic_model", "gpt", "s2mel", "vocoder"]
WHOLE = ["reference_encode", "text_frontend", *SEGMENT, *SEGMENT, "postprocess"]


def stage_of(call: Call) -> str:
    value = call.arguments["value"]
    if value < 0.2:
        return Stage.TEXT_FRONTEND if value else Stage.REFERENCE_ENCODE
    return Stage.ACOUSTIC_MODEL if value < 0.9 else Stage.POSTPROCESS


def table(name: str, **changes: Any) -> Engine:
    entries = (
        Entry("Speaker.say", chunk=None, required=True, facts={names.REFERENCE_CACHE_HIT: "self.kept"}),
        Entry("Speaker.steps", chunk=Chunk()),
    )
    seams = (
        Seam("Speaker.codes", "gpt", within=Stage.ACOUSTIC_MODEL),
        Seam("Speaker.flow", "s2mel", within=Stage.ACOUSTIC_MODEL),
        Seam("Speaker.sound", Stage.VOCODER),
    )
    given = {"marks": (Mark("Speaker.progress", stage_of),), "seams": seams, "sample_rate": 8000, **changes}
    return Engine(name="marked", module=name, distribution="", entries=entries, **given)


@pytest.fixture
def speaker(module):
    """`speaker(**changes of the table)` is an instance of an engine that is hooked."""

    def make(**changes: Any) -> Any:
        name = module(SOURCE)
        watch(table(name, **changes))
        return importlib.import_module(name).Speaker()

    return make


def stages(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.STAGE in span.attributes]
    return sorted(found, key=lambda span: (span.start_time, -span.end_time))


def said(seen: Any) -> list[str]:
    return [span.attributes[names.STAGE] for span in stages(seen)]


def root_of(seen: Any) -> Any:
    (root,) = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return root


def test_marks_begin_and_end_stages_and_seams_are_their_parts(world, speaker) -> None:
    seen = world()
    assert speaker().say(TEXT).tolist() == AUDIO
    spans, root = stages(seen), root_of(seen)
    assert [span.attributes[names.STAGE] for span in spans] == WHOLE
    parents = {span.context.span_id: span.attributes[names.STAGE] for span in spans}
    assert [parents.get(span.parent.span_id) for span in spans] == (
        [None] * 2 + [None, "acoustic_model", "acoustic_model", None] * 2 + [None]
    )
    level = [span for span in spans if span.parent.span_id == root.context.span_id]
    for earlier, later in itertools.pairwise(level):
        assert earlier.end_time <= later.start_time
    assert root.attributes[names.SEGMENT_COUNT] == 2 and root.attributes[names.OUTCOME] == "ok"
    assert not seen.recorder.open and guard.faults == {}


def test_parts_are_counted_inside_their_stage_and_not_beside_it(world, speaker, clock) -> None:
    seen = world()
    one = speaker()
    one.prepare = lambda: clock.tick(1)
    type(one).note = lambda self: clock.tick(2)
    one.say("one")
    took = {name: round(total) for (_, name), (_, total) in seen.drain().points(names.STAGE_DURATION.name).items()}
    assert took == {
        "reference_encode": 2, "text_frontend": 0, "acoustic_model": 3, "gpt": 2, "s2mel": 0, "vocoder": 0,
        "postprocess": 0,
    }  # fmt: skip


def test_a_marked_stage_is_not_current_but_a_part_of_it_is(world, speaker) -> None:
    seen = world()
    one, current = speaker(), []
    type(one).note = lambda self: current.append(getattr(trace.get_current_span(), "name", ""))
    one.say("one")
    assert current == ["text_to_speech", "tts.gpt"]
    assert said(seen)[0] == "reference_encode"


def test_the_callers_own_span_between_keeps_its_children(world, speaker) -> None:
    seen = world()
    one = speaker()
    codes = one.codes

    def traced(word: str) -> Any:
        with seen.tracers.get_tracer("theirs").start_as_current_span("theirs"):
            return codes(word)

    one.codes = traced
    one.say("one")
    (gpt,) = [span for span in stages(seen) if span.attributes[names.STAGE] == "gpt"]
    assert gpt.parent.span_id == seen.span("theirs").context.span_id


@pytest.mark.parametrize("which", ["say", "steps"])
def test_a_stream_has_marks_in_its_steps(world, speaker, which) -> None:
    seen = world()
    stream = getattr(speaker(), which)(TEXT, stream=True)
    for _ in stream:
        assert not trace.get_current_span().get_span_context().is_valid
    assert said(seen) == WHOLE
    assert root_of(seen).attributes[names.STREAM_CHUNKS] == 2


@pytest.mark.parametrize("end", ["close", "drop"])
def test_what_a_stream_leaves_open_ends_with_it(world, speaker, end) -> None:
    seen = world()
    stream = speaker(seams=()).say(TEXT, stream=True)
    next(stream)
    if end == "close":
        stream.close()
    del stream
    gc.collect()
    assert said(seen) == ["reference_encode", "text_frontend", "acoustic_model"]
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "cancelled" and not seen.recorder.open
    assert all(span.status.is_unset for span in stages(seen))


def test_a_chunk_that_is_handed_over_ends_what_was_running(world, speaker, clock) -> None:
    seen = world()
    for _ in speaker(seams=()).say(TEXT, stream=True):
        clock.tick(100)
    assert all(span.end_time - span.start_time < 1e9 for span in stages(seen))
    assert said(seen).count("acoustic_model") == 2


def test_steps_in_another_thread_belong_to_the_same_request(world, speaker) -> None:
    seen = world()
    stream = speaker().say(TEXT, stream=True)
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(list, stream).result()) == 1
    assert said(seen) == WHOLE
    assert len({span.context.trace_id for span in stages(seen)}) == 1


def test_many_abandoned_streams_leave_nothing_open(world, speaker) -> None:
    seen = world(queue_size=10_000)
    one = speaker()
    for _ in range(300):
        next(one.say(TEXT, stream=True))
    assert not seen.recorder.open
    assert said(seen).count("reference_encode") == 300


@pytest.mark.parametrize(
    ("where", "failed"),
    [("reference", "reference_encode"), ("text", "text_frontend"), ("gpt", "gpt"), ("codes", "acoustic_model"),
     ("saving", "postprocess")],
)  # fmt: skip
def test_an_error_ends_the_stage_that_it_left(world, speaker, where, failed) -> None:
    seen = world()
    one = speaker()
    one.trouble = (where, RuntimeError("no"))
    with pytest.raises(RuntimeError, match="no"):
        one.say(TEXT)
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "error" and root.attributes[names.ERROR_TYPE] == "RuntimeError"
    bad = [span.attributes[names.STAGE] for span in stages(seen) if not span.status.is_unset]
    assert bad == (["acoustic_model", "gpt"] if failed == "gpt" else [failed])
    assert f"stage={failed}" in next(line for line in seen.lines() if "REQ_FAIL" in line)


def test_a_none_is_the_error_that_the_engine_swallowed(world, speaker) -> None:
    seen = world()
    one = speaker()
    one.trouble = ("codes", IndexError("index -1 is out of bounds, said quincebread"))
    assert one.say(TEXT) is None
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "error" and root.attributes[names.ERROR_TYPE] == "IndexError"
    (event,) = root.events
    assert event.attributes["exception.type"] == "IndexError" and event.attributes["code.function.name"] == "fail"
    assert root.status.status_code is trace.StatusCode.ERROR and root.status.description is None
    assert "quincebread" not in repr(seen.shown_spans()) + repr(seen.lines())


def test_a_none_without_an_exception_is_an_error_too(world, speaker) -> None:
    seen = world()
    one = speaker()
    type(one).steps = lambda self, text, stream: iter(())
    assert one.say(TEXT) is None
    assert root_of(seen).attributes[names.ERROR_TYPE] == "_OTHER"


def test_an_error_that_was_made_good_is_none(world, speaker) -> None:
    seen = world()
    one = speaker()
    steps = one.steps

    def again(text: str, stream: bool) -> Any:
        one.trouble = ("text", KeyError("once"))
        with pytest.raises(KeyError):
            list(steps(text, stream))
        one.trouble = None
        return steps(text, stream)

    one.steps = again
    assert one.say(TEXT) is not None
    assert root_of(seen).attributes[names.OUTCOME] == "ok"


def test_a_reference_that_is_kept_makes_no_stage(world, speaker) -> None:
    seen = world()
    one = speaker()
    one.kept = True
    one.say(TEXT)
    assert said(seen) == WHOLE[1:]


def test_a_seam_may_hand_back_to_a_stage_or_be_needless(world, speaker) -> None:
    seen = world()
    seams = (
        Seam("Speaker.note", "emotion", then=Stage.REFERENCE_ENCODE),
        Seam("Speaker.prepare", "prepare", unless=lambda call: call.instance.kept is False),
    )
    speaker(seams=seams).say("one")
    assert said(seen)[:4] == ["reference_encode", "emotion", "reference_encode", "text_frontend"]
    assert "prepare" not in said(seen)


def test_a_mark_may_count_the_segments(world, speaker) -> None:
    seen = world()
    split = Mark("Speaker.split", Stage.TEXT_FRONTEND, segments=True)
    assert speaker(marks=(split,)).say(TEXT) is not None
    assert said(seen) == ["text_frontend", *SEGMENT, *SEGMENT]
    assert root_of(seen).attributes[names.SEGMENT_COUNT] == 2


def test_a_mark_that_is_gone_is_said_once_and_costs_its_stages(world, speaker, caplog) -> None:
    seen = world()
    assert speaker(marks=(Mark("Speaker.gone", stage_of),)).say(TEXT) is not None
    assert said(seen) == SEGMENT * 2
    assert sum("Speaker.gone" in message for message in caplog.messages) == 1


def test_outside_of_a_synthesis_marks_are_only_calls(world, speaker) -> None:
    seen = world()
    one = speaker()
    assert one.progress(0.5) == 0.5
    assert one.flow(2) == 2000
    assert seen.drain().spans == []


def test_a_stage_ends_with_an_own_block_that_called_the_engine(world, speaker) -> None:
    seen = world()
    one = speaker()
    with otel_tts.synthesis("mine"):
        one.say(TEXT)
        with otel_tts.stage("vocoder"):
            pass
    assert said(seen) == [*WHOLE, "vocoder"]
    last, own = stages(seen)[-2:]
    assert last.end_time <= own.start_time and own.parent.span_id == root_of(seen).context.span_id


def test_two_requests_at_once_on_one_engine_do_not_meet(world, speaker) -> None:
    seen = world()
    one, barrier = speaker(), threading.Barrier(4, timeout=30)
    type(one).note = lambda self: barrier.wait()
    type(one).prepare = lambda self: barrier.wait()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one.say, [TEXT] * 4))
    assert all(result.tolist() == AUDIO for result in results)
    spans = stages(seen)
    traces = {span.context.trace_id for span in spans}
    assert len(traces) == 4
    for trace_id in traces:
        mine = [span for span in spans if span.context.trace_id == trace_id]
        assert [span.attributes[names.STAGE] for span in mine] == WHOLE
        assert {span.parent.trace_id for span in mine} == {trace_id}
    assert guard.faults == {}


PARTS = [
    (mark, "move"), (mark, "stop"), (mark, "_enter"), (mark, "_leave"), (mark, "_pass"),
    (mark, "_is_needless"), (mark, "call_of"), (mark, "current"), (OpenStage, "open"),
    (OpenStage, "close"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "part"), PARTS, ids=[part for _, part in PARTS])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_fault_in_the_clock_changes_no_audio(world, speaker, monkeypatch, owner, part, after, stream) -> None:
    world()
    one = speaker()
    original = getattr(owner, part)

    def faulty(*args: Any, **kwargs: Any) -> Any:
        if after:
            original(*args, **kwargs)
        raise ZeroDivisionError("injected")

    with monkeypatch.context() as patched:
        patched.setattr(owner, part, faulty)
        audio = one.say(TEXT, stream)
        whole = np.concatenate(list(audio)) if stream else audio
        one.trouble = ("codes", RuntimeError("theirs"))
        with pytest.raises(RuntimeError, match="theirs"):
            list(one.say(TEXT, stream))
    assert whole.tolist() == AUDIO
    assert sum(guard.faults.values()) > 0


def test_a_mark_that_cannot_tell_is_a_fault_and_no_stage(world, speaker) -> None:
    seen = world()

    def lost(call: Call) -> str:
        return call.arguments["nothing"]

    assert speaker(marks=(Mark("Speaker.progress", lost),)).say(TEXT) is not None
    assert said(seen) == SEGMENT * 2
    assert sum(guard.faults.values()) > 0


def test_a_table_is_only_for_the_module_that_has_its_mark(world, module) -> None:
    seen = world()
    name = module(SOURCE)
    watch(table(name, only_with="Speaker.nothing"))
    speaker = importlib.import_module(name).Speaker
    assert speaker().say(TEXT) is not None
    assert seen.drain().spans == []
    watch(table(name, only_with="Speaker.progress"))
    assert speaker().say(TEXT) is not None
    assert said(seen) == WHOLE


def test_a_table_that_waits_for_its_module_is_gone_once_unwrapped(world, module) -> None:
    seen = world()
    name = module(SOURCE)
    watch(table(name, only_with="Speaker.progress"))
    undo(HOOKS)
    assert importlib.import_module(name).Speaker().say(TEXT) is not None
    assert seen.drain().spans == []

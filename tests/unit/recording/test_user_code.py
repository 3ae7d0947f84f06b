# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the application does with the current span while a stage runs."""

from __future__ import annotations

import weakref

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import SpanProcessor

from otel_tts import guard
from otel_tts.recording.synthesis import current
from tests.unit.support.world import Foreign

SPOKEN = "the text that was to be spoken"


def test_attributes_and_events_of_a_stage_leave_with_it(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        span = trace.get_current_span()
        numbers = [1, 2]
        names = ["a"]
        span.set_attributes({"numbers": numbers, "names": names, "plain": 1})
        span.add_event("step", {"list": numbers})
        numbers.append(3)
        names.append("b")
    (stage, _) = here.drain().shown_spans()
    assert stage["attributes"] == {
        "tts.stage": "vocoder", "gpu.timing.mode": "host", "numbers": (1, 2), "names": ("a",), "plain": 1,
    }  # fmt: skip
    assert stage["events"] == [("step", 0.0, {"list": (1, 2)})]


def test_after_its_end_a_span_ignores_everything(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        with synthesis.stage("vocoder") as stage:
            assert stage.is_recording()
        assert synthesis.is_recording()
    for span in (stage, synthesis):
        assert not span.is_recording()
        before = span.name, dict(span.attrs), list(span.events), span.links, span.status
        span.set_attribute("late", 1)
        span.set_attributes({"late": 1})
        span.add_event("late")
        span.add_link(trace.SpanContext(1, 2, False))
        span.update_name("late")
        span.set_status(trace.StatusCode.ERROR)
        span.record_exception(ValueError(SPOKEN))
        assert (span.name, dict(span.attrs), list(span.events), span.links, span.status) == before


def test_a_stray_end_does_not_cut_a_stage_short(world, clock) -> None:
    here = world()
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        trace.get_current_span().end()
        clock.tick(0.010)
        trace.get_current_span().set_attribute("after", 1)
    stage = here.drain().shown_spans()[0]
    assert stage["ms"] == (0.0, 10.0)
    assert stage["attributes"]["after"] == 1


def test_own_spans_have_the_stage_as_parent_and_leave_before_it(world) -> None:
    here = world()
    tracer = here.tracers.get_tracer("app")
    with tracer.start_as_current_span("handler") as handler, here.synthesis() as synthesis:
        between = tracer.start_span("between")
        child = tracer.start_as_current_span("child")
        with trace.use_span(between, end_on_exit=True), synthesis.stage("vocoder") as stage, child:
            assert current() is synthesis
        assert here.names() == ["child", "between"]
    assert trace.get_current_span().get_span_context() == trace.INVALID_SPAN_CONTEXT
    here.drain()
    assert here.span("child").parent == stage.get_span_context()
    assert here.span("tts.vocoder").parent == between.get_span_context()
    assert here.span("between").parent == synthesis.get_span_context()
    assert here.span("text_to_speech").parent == handler.get_span_context()
    assert not here.span("child").parent.is_remote


def test_a_propagated_trace_names_the_stage(world) -> None:
    here, carrier = world(), {}
    with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
        propagate.inject(carrier)
    context = stage.get_span_context()
    assert carrier["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def test_processors_see_baggage_at_the_start_of_each_span(world) -> None:
    class Bag(SpanProcessor):
        def on_start(self, span, parent_context=None) -> None:
            span.set_attributes(baggage.get_all(parent_context))

    here = world(processors=(Bag(),))
    token = context_api.attach(baggage.set_baggage("tenant", "t1"))
    try:
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            pass
    finally:
        context_api.detach(token)
    here.drain()
    assert [span.attributes["tenant"] for span in here.spans] == ["t1", "t1"]


class Big:
    """Stands for a tensor."""


def fail_with_something_big() -> weakref.ref:
    big = Big()
    fail_with_something_big.last = weakref.ref(big)
    raise ValueError(SPOKEN)


@pytest.mark.parametrize("processors", [(), (Foreign(),)], ids=["straight", "through the SDK"])
def test_an_exception_leaves_class_and_place_and_keeps_nothing_alive(world, processors) -> None:
    here = world(processors=processors)
    with pytest.raises(ValueError, match=SPOKEN), here.synthesis() as synthesis, synthesis.stage("vocoder"):
        fail_with_something_big()
    assert fail_with_something_big.last() is None, "a frame is kept alive before the record was drained"
    here.drain()
    stage, root = here.shown_spans()
    line = fail_with_something_big.__code__.co_firstlineno + 3
    place = {
        "exception.type": "ValueError", "code.file.path": "test_user_code.py",
        "code.function.name": "fail_with_something_big", "code.line.number": line,
    }  # fmt: skip
    for span in (stage, root):
        assert span["status"] == ("ERROR", None)
        assert span["attributes"]["error.type"] == "ValueError"
        assert [(name, attributes) for name, _, attributes in span["events"]] == [("exception", place)]
    assert root["attributes"]["tts.outcome"] == "error"
    everything = repr(here.shown_spans()) + repr(here.lines()) + repr(here.records) + repr(here.all_points())
    assert SPOKEN not in everything


def test_a_recorded_exception_never_carries_its_message(world) -> None:
    here = world()
    with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
        try:
            raise KeyError(SPOKEN)
        except KeyError as error:
            stage.record_exception(error, {"extra": SPOKEN})
        synthesis.record_exception(RuntimeError(SPOKEN))  # never raised: it has no place
    stage, root = here.drain().shown_spans()
    assert stage["events"][0][2]["exception.type"] == "KeyError"
    assert [(name, attributes) for name, _, attributes in root["events"]] == [
        ("exception", {"exception.type": "RuntimeError"})
    ]
    assert root["attributes"]["tts.outcome"] == "ok"
    assert SPOKEN not in repr(here.shown_spans())


def test_an_exception_that_is_caught_inside_leaves_only_its_stage_failed(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        try:
            with synthesis.stage("reference_encode"):
                raise OSError(5, SPOKEN)
        except OSError:
            pass
    stage, root = here.drain().shown_spans()
    assert stage["status"] == ("ERROR", None)
    assert "status" not in root
    assert root["attributes"]["tts.outcome"] == "ok"
    assert not guard.faults


def test_facts_by_their_short_names(world) -> None:
    here = world(voices=("anna",))
    with here.synthesis() as synthesis:
        assert synthesis.set(voice="anna", language="de", segments=2, format="wav", size=44, text_length=9) is synthesis
    attributes = here.drain().spans[0].attributes
    assert {key: attributes[key] for key in ("tts.voice", "tts.text.language", "tts.segment.count")} == {
        "tts.voice": "anna", "tts.text.language": "de", "tts.segment.count": 2,
    }  # fmt: skip
    assert (attributes["tts.audio.format"], attributes["tts.audio.size"]) == ("wav", 44)
    assert "text_len=9" in here.lines()[0]

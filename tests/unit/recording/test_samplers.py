# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whose spans leave: the user's sampler decides, once per span, and points are counted whatever it says."""

from __future__ import annotations

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider, _disable_tracer_configurator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, NoOpTracerProvider, SpanContext, TraceFlags, TraceState

from otel_tts import guard
from tests.unit.support.world import Foreign


def three_spans(world, number: int = 1) -> list[bool]:
    """Syntheses with a stage and the application's own span in it; returns whether each was sampled."""
    sampled = []
    for _ in range(number):
        with world.synthesis() as synthesis, synthesis.stage("vocoder"):
            with world.tracers.get_tracer("app").start_as_current_span("child") as child:
                sampled.append(child.get_span_context().trace_flags.sampled)
                recorded = child.is_recording()
            assert trace.get_current_span().get_span_context().trace_flags.sampled is sampled[-1]
            assert trace.get_current_span().is_recording() is recorded
    world.drain()
    return sampled


class Asked(Sampler):
    """Decides by what it is told, notes what it was asked, adds an attribute of its own."""

    def __init__(self, *decisions: Decision) -> None:
        self.asked: list[tuple[str, dict]] = []
        self._decisions = decisions

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        self.asked.append((name, dict(attributes or {})))
        decision = self._decisions[(len(self.asked) - 1) % len(self._decisions)]
        return SamplingResult(decision, {"asked": len(self.asked)}, TraceState([("k", str(len(self.asked)))]))

    def get_description(self) -> str:
        return "asked"


def test_all_spans_of_sampled_requests_leave(world) -> None:
    here = world(sampler=ParentBased(ALWAYS_ON))
    assert all(three_spans(here, 5))
    assert sorted(here.names()) == ["child"] * 5 + ["text_to_speech"] * 5 + ["tts.vocoder"] * 5


def test_no_span_of_unsampled_requests_leaves_but_every_point_does(world) -> None:
    here = world(sampler=ParentBased(ALWAYS_OFF))
    assert not any(three_spans(here, 5))
    assert here.names() == []
    assert here.points("tts.requests") == {("e", "ok"): 5}
    assert here.points("tts.stage.duration").keys() == {("e", "vocoder")}
    assert not any(point.exemplars for point in here.raw_points("tts.stage.duration"))
    assert len(here.lines()) == 15


def test_a_ratio_keeps_or_drops_whole_requests(world) -> None:
    here = world(sampler=ParentBased(TraceIdRatioBased(0.5)))
    here.recorder.new_trace_id = lambda: next(halves)
    halves = iter([1, 2**63 + 1] * 20)  # the ratio looks at the lower 64 bits
    sampled = three_spans(here, 40)
    assert sampled == [True, False] * 20
    assert sorted(here.names()) == ["child"] * 20 + ["text_to_speech"] * 20 + ["tts.vocoder"] * 20
    assert here.points("tts.requests") == {("e", "ok"): 40}


def test_exemplars_of_sampled_requests_name_spans_that_left(world) -> None:
    here = world()
    three_spans(here, 3)
    exemplars = [
        (exemplar.trace_id, exemplar.span_id)
        for metric in ("tts.stage.duration", "tts.request.duration")
        for point in here.raw_points(metric)
        for exemplar in point.exemplars
    ]
    ids = {(span.get_span_context().trace_id, span.get_span_context().span_id) for span in here.spans}
    assert exemplars
    assert ids.issuperset(exemplars)


def test_a_custom_sampler_is_asked_once_for_each_span(world) -> None:
    sampler = Asked(Decision.RECORD_AND_SAMPLE)
    here = world(sampler=sampler)
    with here.synthesis() as synthesis, synthesis.stage("vocoder", segment=3):
        pass
    here.drain()
    assert [name for name, _ in sampler.asked] == ["text_to_speech", "tts.vocoder"]
    assert sampler.asked[0][1]["tts.engine.name"] == "e"
    assert sampler.asked[1][1] == {"segment": 3, "tts.stage": "vocoder"}
    stage, root = here.spans
    assert dict(stage.attributes) == {
        "asked": 2, "segment": 3, "tts.stage": "vocoder", "gpu.timing.mode": "host",
    }  # fmt: skip
    assert root.attributes["asked"] == 1
    assert stage.get_span_context().trace_state == {"k": "2"}


def test_a_custom_sampler_may_drop_single_spans(world) -> None:
    here = world(sampler=Asked(Decision.RECORD_AND_SAMPLE, Decision.DROP))
    with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
        assert not stage.is_recording()
    assert here.drain().names() == ["text_to_speech"]
    assert here.points("tts.stage.duration") == {("e", "vocoder"): here.points("tts.stage.duration")[("e", "vocoder")]}


@pytest.mark.parametrize("processors", [(), (Foreign(),)], ids=["straight", "through the SDK"])
def test_recorded_and_not_sampled_spans_reach_processors_not_exporters(world, processors) -> None:
    here = world(sampler=Asked(Decision.RECORD_ONLY), processors=processors)
    with here.synthesis() as synthesis:
        assert synthesis.is_recording()
        assert not synthesis.get_span_context().trace_flags.sampled
    assert here.drain().names() == []
    for foreign in processors:
        assert [name for name, _ in foreign.started] == ["text_to_speech"]
    assert not guard.faults


USUAL = [ALWAYS_ON, ALWAYS_OFF, ParentBased(ALWAYS_ON), ParentBased(ALWAYS_OFF)]
UNUSUAL = [
    StaticSampler(Decision.RECORD_ONLY),
    ParentBased(ALWAYS_OFF, local_parent_not_sampled=ALWAYS_ON),
    ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF),
    ParentBased(ALWAYS_ON, local_parent_sampled=StaticSampler(Decision.RECORD_ONLY)),
]


@pytest.mark.parametrize("sampler", UNUSUAL, ids=lambda sampler: sampler.get_description())
def test_stages_get_what_the_sampler_would_give_them(world, sampler) -> None:
    here = world(sampler=sampler)
    theirs = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("theirs")
    with theirs.start_as_current_span("root"):
        with theirs.start_as_current_span("child") as child:
            pass
        wanted = child.get_span_context().trace_flags.sampled
        recorded = isinstance(child, trace.Span) and type(child) is not NonRecordingSpan
    with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
        assert stage.is_recording() is recorded
    assert stage.get_span_context().trace_flags.sampled is wanted
    assert ("tts.vocoder" in here.drain().names()) is wanted


@pytest.mark.parametrize("above", [None, (False, 0), (False, 1), (False, 3), (True, 0), (True, 1)])
@pytest.mark.parametrize("sampler", [*USUAL, *UNUSUAL], ids=lambda sampler: sampler.get_description())
def test_a_synthesis_gets_what_the_sdk_would_give_it_below_any_parent(world, sampler, above) -> None:
    """Samplers that answer always the same are not asked."""
    here, context = world(sampler=sampler), context_api.Context()
    if above is not None:
        parent = SpanContext(5, 6, above[0], TraceFlags(above[1]), TraceState([("vendor", "x")]))
        context = trace.set_span_in_context(NonRecordingSpan(parent), context)
    token = context_api.attach(context)
    try:
        theirs = here.tracers.get_tracer("theirs").start_span("root")
        with here.synthesis() as synthesis:
            assert synthesis.is_recording() is theirs.is_recording()
    finally:
        context_api.detach(token)
    wanted, found = theirs.get_span_context(), synthesis.get_span_context()
    assert (found.trace_flags, found.trace_state) == (wanted.trace_flags, wanted.trace_state)


def test_a_remote_unsampled_parent_is_followed(world) -> None:
    here = world()
    token = context_api.attach(trace.set_span_in_context(NonRecordingSpan(SpanContext(5, 6, True, TraceFlags(0)))))
    try:
        assert three_spans(here) == [False]
        with here.synthesis() as synthesis:
            assert synthesis.get_span_context().trace_id == 5
            assert not synthesis.is_recording()
    finally:
        context_api.detach(token)
    assert here.drain().names() == []


def test_a_remote_sampled_parent_is_followed_with_its_state_and_randomness(world) -> None:
    here = world()
    remote = SpanContext(5, 6, True, TraceFlags(3), TraceState([("vendor", "x")]))
    token = context_api.attach(trace.set_span_in_context(NonRecordingSpan(remote)))
    try:
        assert three_spans(here) == [True]
    finally:
        context_api.detach(token)
    contexts = [span.get_span_context() for span in here.spans]
    assert {context.trace_id for context in contexts} == {5}
    assert {int(context.trace_flags) for context in contexts} == {3}
    assert [dict(context.trace_state) for context in contexts] == [{"vendor": "x"}] * 3
    assert here.span("text_to_speech").parent == remote


def test_a_sampler_that_fails_costs_the_span_and_nothing_else(world) -> None:
    class Broken(Sampler):
        def should_sample(self, *args, **kwargs):
            raise RuntimeError("no")

        def get_description(self) -> str:
            return "broken"

    here = world(sampler=Broken())
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        result = 42
    assert result == 42
    assert here.drain().names() == []
    assert here.points("tts.requests") == {("e", "ok"): 1}
    assert guard.faults == {"sampler": 2}


SILENT = {
    "no SDK": {"tracer_provider": NoOpTracerProvider()},
    "disabled by the tracer configurator": {"configurator": _disable_tracer_configurator},
}


@pytest.mark.parametrize("options", SILENT.values(), ids=SILENT.keys())
def test_where_our_spans_are_not_wanted_the_applications_own_stay_whole(world, options) -> None:
    """A synthesis nobody exports must not stand between the application's spans, nor switch their sampling off."""
    here = world(**options)
    app = world()
    tracer = app.tracers.get_tracer("app")
    with tracer.start_as_current_span("outer") as outer:
        synthesis = here.synthesis().start()
        with trace.use_span(synthesis), synthesis.stage("vocoder") as stage:
            assert not synthesis.is_recording()
            assert not stage.is_recording()
            with tracer.start_as_current_span("inner"):
                pass
        synthesis.finish()
    with here.synthesis() as synthesis, synthesis.stage("vocoder"), tracer.start_as_current_span("alone"):
        pass
    here.drain()
    assert sorted(app.names()) == ["alone", "inner", "outer"]
    assert app.span("inner").parent == outer.get_span_context()
    assert app.span("alone").parent is None
    assert here.names() == []
    assert here.points("tts.requests") == {("e", "ok"): 2}
    assert len(here.lines()) == 6
    assert not guard.faults


def test_a_disabled_sdk_makes_no_spans(world, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    here = world()
    assert three_spans(here) == [False]
    assert here.names() == []
    assert not guard.faults


def test_without_configuring_anything_the_blocks_work_and_leave_nothing() -> None:
    import otel_tts

    with otel_tts.synthesis("m", text="hello") as synthesis:
        with otel_tts.stage("vocoder") as stage:
            assert stage is not None
            stage.set_attribute("a", 1)
        synthesis.chunk([0.0] * 100, 16000)
    assert otel_tts.current() is None
    assert not guard.faults


ROOTS = [
    ALWAYS_ON, ALWAYS_OFF, ParentBased(ALWAYS_ON), ParentBased(ALWAYS_OFF), TraceIdRatioBased(1.0),
    ParentBased(ALWAYS_OFF, remote_parent_sampled=ALWAYS_OFF, remote_parent_not_sampled=ALWAYS_ON), *UNUSUAL,
]  # fmt: skip
PARENTS = {
    "none": None,
    "invalid": SpanContext(0, 0, True, TraceFlags(1)),
    "sampled": SpanContext(5, 6, True, TraceFlags(3), TraceState([("k", "v")])),
    "not sampled": SpanContext(5, 6, True, TraceFlags(0)),
}


@pytest.mark.parametrize("parent", PARENTS.values(), ids=PARENTS.keys())
@pytest.mark.parametrize("sampler", ROOTS, ids=lambda sampler: sampler.get_description())
def test_a_request_gets_what_the_sampler_would_give_it(world, sampler, parent) -> None:
    here = world(sampler=sampler)
    outside = Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
    theirs = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("theirs").start_span("root", outside)
    token = context_api.attach(outside)
    try:
        with here.synthesis() as ours:
            assert ours.is_recording() is theirs.is_recording()
    finally:
        context_api.detach(token)
    mine, wanted = ours.get_span_context(), theirs.get_span_context()
    assert mine.trace_flags & 1 == wanted.trace_flags & 1
    assert mine.trace_state == wanted.trace_state
    leaves = here.drain().names()
    assert leaves == (["text_to_speech"] if wanted.trace_flags & 1 else [])

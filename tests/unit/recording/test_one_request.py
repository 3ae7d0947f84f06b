# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One request from end to end, as an operator would read it, and the same by both ways of making its spans."""

from __future__ import annotations

import numpy as np
import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import SpanContext, Status, StatusCode

from otel_tts import guard
from tests.unit.support.world import Foreign, shown


def tone(seconds: float, rate: int = 16000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def run(world, clock):
    """One request of 250 ms with three stages, a chunk of half a second after 200 ms, and 40 ms of nothing."""
    with world.synthesis(gen_ai__request__model="m", tts__text__length=12) as synthesis:
        with synthesis.stage("text_frontend"):
            clock.tick(0.010)
        with synthesis.stage("acoustic_model") as stage:
            clock.tick(0.050)
            stage.add_event("checkpoint", {"step": 1})
            with synthesis.stage("vocoder"):
                clock.tick(0.100)
        clock.tick(0.040)
        synthesis.chunk(tone(0.5), 16000)
        clock.tick(0.050)
    return world.drain()


STAGES = [
    {
        "name": "tts.text_frontend", "ids": (1, 2), "parent": 1, "ms": (0.0, 10.0),
        "attributes": {"tts.stage": "text_frontend", "gpu.timing.mode": "host"},
    },
    {
        "name": "tts.vocoder", "ids": (1, 4), "parent": 3, "ms": (60.0, 160.0),
        "attributes": {"tts.stage": "vocoder", "gpu.timing.mode": "host"},
    },
    {
        "name": "tts.acoustic_model", "ids": (1, 3), "parent": 1, "ms": (10.0, 160.0),
        "attributes": {"tts.stage": "acoustic_model", "gpu.timing.mode": "host"},
        "events": [("checkpoint", 60.0, {"step": 1})],
    },
]  # fmt: skip


def test_a_request_leaves_its_stages_and_itself(world, clock) -> None:
    spans = run(world(), clock).shown_spans()
    assert spans[:3] == STAGES
    root = spans[3]
    assert {key: value for key, value in root.items() if key != "attributes"} == {
        "name": "text_to_speech m", "ids": (1, 1), "parent": None, "ms": (0.0, 250.0),
    }  # fmt: skip
    measured = root["attributes"]
    assert measured.pop("tts.audio.rms") == pytest.approx(0.5 / 2**0.5, rel=1e-4)
    assert measured.pop("tts.audio.dc_offset") == pytest.approx(0, abs=1e-6)
    assert measured == {
        "request_id": "r",
        "tts.engine.name": "e",
        "tts.cold_start": True,
        "tts.cold_start.kind": ("first_request",),
        "gen_ai.operation.name": "text_to_speech",
        "gen_ai.output.type": "speech",
        "gen_ai.request.model": "m",
        "tts.text.length": 12,
        "tts.stream": True,
        "tts.stream.chunks": 1,
        "tts.stream.underrun": 0.0,
        "tts.stream.continuous": True,
        "tts.audio.duration": 0.5,
        "tts.audio.sample_rate": 16000,
        "tts.audio.channels": 1,
        "tts.audio.peak": 0.5,
        "tts.audio.silence_ratio": 0.0,
        "tts.audio.leading_silence": 0.0,
        "tts.audio.trailing_silence": 0.0,
        "tts.audio.clipping_ratio": 0.0,
        "tts.audio.clicks": 0,
        "tts.time_to_first_byte": 0.2,
        "tts.time_to_first_audio": 0.2,
        "tts.real_time_factor": 0.5,
        "tts.segment.count": 1,
        "tts.outcome": "ok",
    }


def test_a_request_leaves_its_points(world, clock) -> None:
    both = "gen_ai.request.model=m tts.engine.name=e"
    assert run(world(), clock).all_points() == {
        "tts.requests": {f"{both} tts.outcome=ok": 1},
        "tts.requests.active": {"tts.engine.name=e": 0},
        "tts.request.duration": {f"{both} tts.outcome=ok": (1, 0.25)},
        "tts.stage.duration": {
            "tts.engine.name=e tts.stage=text_frontend": (1, 0.01),
            "tts.engine.name=e tts.stage=acoustic_model": (1, 0.15),
            "tts.engine.name=e tts.stage=vocoder": (1, 0.1),
        },
        "tts.text.length": {both: (1, 12)},
        "tts.requests.others": {"tts.engine.name=e": (1, 0)},
        "tts.time_to_first_byte": {both: (1, 0.2)},
        "tts.time_to_first_audio": {both: (1, 0.2)},
        "tts.real_time_factor": {both: (1, 0.5)},
        "tts.audio.duration": {both: (1, 0.5)},
        "tts.stream.underrun": {"tts.engine.name=e": (1, 0.0)},
    }


def test_a_request_leaves_three_lines(world, clock) -> None:
    here = run(world(), clock)
    assert here.lines() == [
        "INFO REQ_START request_id=r engine=e text_len=12",
        "INFO REQ_SUCCESS request_id=r engine=e text_len=12 duration=0.25 audio_duration=0.5 "
        "sample_rate=16000 channels=1 rtf=0.5 status=ok",
        "INFO STAGE_TIME request_id=r text_frontend=0.01 acoustic_model=0.15 acoustic_model.vocoder=0.1 total=0.25 "
        "other=0.09",
    ]
    assert {(record.trace_id, record.span_id) for record in here.records} == {(1, 1)}
    assert [record.event_name for record in here.records] == ["REQ_START", "REQ_SUCCESS", "STAGE_TIME"]


@pytest.mark.parametrize("length", [None, 3], ids=["on_start", "limits"])
def test_both_ways_of_making_spans_give_the_same(world, clock, length: int | None) -> None:
    """A foreign processor or a limit sends records through the SDK; the spans are the same to the last attribute."""
    straight = run(world(), clock)
    clock.ns -= 250_000_000
    limits = SpanLimits(max_attribute_length=1000, max_span_attribute_length=1000) if length else None
    foreign = () if length else (Foreign(),)
    through = run(world(processors=foreign, limits=limits), clock)
    assert not through.emitter.spans._straight or length
    assert through.shown_spans() == straight.shown_spans()
    for ours, theirs in zip(straight.spans, through.spans, strict=True):
        assert ours.get_span_context() == theirs.get_span_context()
        assert ours.get_span_context().trace_state is not None
        assert (ours.parent, ours.kind, ours.resource) == (theirs.parent, theirs.kind, theirs.resource)
        assert ours.instrumentation_scope == theirs.instrumentation_scope
    assert through.lines() == straight.lines()
    assert through.all_points() == straight.all_points()
    assert not guard.faults


ODD = [
    ("an object", lambda span: span.set_attribute("x", object())),
    ("bytes", lambda span: span.set_attribute("x", b"ab")),
    ("None", lambda span: span.set_attribute("x", None)),
    ("a mixed list", lambda span: span.set_attribute("x", [1, "a"])),
    ("a list of numbers", lambda span: span.set_attribute("x", [1.0, 2.0])),
    ("a list of names", lambda span: span.set_attribute("x", ["a", "b"])),
    ("an empty key", lambda span: span.set_attribute("", 1)),
    ("an event with an object", lambda span: span.add_event("e", {"x": object(), "y": 1})),
    ("an event with an empty key", lambda span: span.add_event("e", {"": 1, "y": [1, 2]})),
    ("an event at a time", lambda span: span.add_event("e", None, 1_700_000_000_123_000_000)),
    ("many events", lambda span: [span.add_event(f"e{number}") for number in range(200)]),
    ("many attributes", lambda span: span.set_attributes({f"a{number}": number for number in range(200)})),
    ("a link", lambda span: span.add_link(SpanContext(7, 8, True), {"why": "because"})),
    ("an invalid link", lambda span: span.add_link(SpanContext(0, 0, True))),
    ("an ok status that stays", lambda span: [span.set_status(StatusCode.OK), span.set_status(StatusCode.ERROR)]),
    ("an error status", lambda span: span.set_status(Status(StatusCode.ERROR, "why"))),
    ("an unset status", lambda span: [span.set_status(StatusCode.ERROR, "w"), span.set_status(StatusCode.UNSET)]),
    ("another name", lambda span: span.update_name("mine")),
]


@pytest.mark.parametrize("do", [do for _, do in ODD], ids=[what for what, _ in ODD])
def test_whatever_code_does_to_a_span_both_ways_give_what_the_sdk_gives(world, clock, do, caplog) -> None:
    seen = []
    for processors in ((), (Foreign(),)):
        here = world(processors=processors)
        with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
            clock.tick(0.010)
            do(stage)
        seen.append(here.drain().shown_spans()[0])
        clock.ns -= 10_000_000
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("theirs")
    theirs = tracer.start_span("tts.vocoder", attributes={"tts.stage": "vocoder"})
    do(theirs)
    theirs.set_attribute("gpu.timing.mode", "host")
    theirs.end()
    assert seen[0] == seen[1]
    expected = shown(theirs)
    assert seen[0].get("status") == expected.get("status")
    assert seen[0]["name"] == expected["name"]
    assert seen[0].get("links") == expected.get("links")
    assert len(seen[0]["attributes"]) == len(expected["attributes"])
    assert [(name, attrs) for name, _, attrs in seen[0].get("events", [])] == [
        (name, attrs) for name, _, attrs in expected.get("events", [])
    ]
    assert not guard.faults


@pytest.mark.parametrize(
    "limits",
    [
        SpanLimits(max_span_attributes=SpanLimits.UNSET, max_events=SpanLimits.UNSET),
        SpanLimits(max_attributes=SpanLimits.UNSET, max_event_attributes=SpanLimits.UNSET),
        SpanLimits(max_span_attributes=3),
        SpanLimits(max_events=0),
        SpanLimits(max_attribute_length=2),
    ],
    ids=["no limits", "no attribute limits", "three attributes", "no events", "two characters"],
)
def test_limits_are_the_providers(world, clock, limits: SpanLimits) -> None:
    spans = [run(world(limits=limits, processors=processors), clock).shown_spans() for processors in ((), (Foreign(),))]
    for first, second in zip(*spans, strict=True):
        assert (first["name"], first["attributes"]) == (second["name"], second["attributes"])
        assert len(first.get("events", ())) == len(second.get("events", ()))
    assert not guard.faults

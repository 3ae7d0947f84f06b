# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A span that is made of a record is to whoever gets it what the SDK's own is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from otel_tts import names
from otel_tts.export.span_bytes import SpanEncoder
from otel_tts.privacy.cleaner import Cleaner
from otel_tts.privacy.policy import Policy

PARTS = (
    "name", "context", "parent", "kind", "resource", "attributes", "events", "links", "status", "start_time",
    "end_time", "instrumentation_scope", "dropped_attributes", "dropped_events", "dropped_links",
)  # fmt: skip


@pytest.fixture
def late(world, clock) -> ReadableSpan:
    """A stage with an event and an error, as it comes from a record."""
    here = world()
    with pytest.raises(ValueError), here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
        clock.tick(0.010)
        stage.add_event("checkpoint", {"step": 1})
        stage.set_attributes({"text": "a", "number": 0.5, "list": ["x", "y"]})
        raise ValueError
    return here.drain().spans[0]


@pytest.fixture
def ordinary(late: ReadableSpan) -> ReadableSpan:
    """The SDK's own of the same parts."""
    given: dict[str, Any] = {part: getattr(late, part) for part in PARTS[:12]}
    return ReadableSpan(**{**given, "attributes": dict(given["attributes"])})


def test_it_says_the_same_as_the_sdks(late: ReadableSpan, ordinary: ReadableSpan) -> None:
    assert type(late) is not ReadableSpan and isinstance(late, ReadableSpan)
    for part in PARTS:
        assert getattr(late, part) == getattr(ordinary, part)
        assert type(getattr(late, part)) is type(getattr(ordinary, part))
    assert late.get_span_context() == ordinary.get_span_context()
    assert late.to_json() == ordinary.to_json()
    with pytest.deprecated_call():
        assert late.instrumentation_info == late._instrumentation_info


def test_it_makes_the_same_bytes(late: ReadableSpan, ordinary: ReadableSpan) -> None:
    theirs = encode_spans([ordinary]).SerializeToString()
    assert encode_spans([late]).SerializeToString() == theirs
    assert SpanEncoder().encode([late]) == SpanEncoder().encode([ordinary]) == (theirs, 1)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_are_whole(late: ReadableSpan, duplicate: Any) -> None:
    other = duplicate(late)
    assert other is not late and other.to_json() == late.to_json()
    other._attributes = {}
    assert late.attributes and not other.attributes


def test_its_attributes_are_read_and_not_written(late: ReadableSpan) -> None:
    attributes: Any = late.attributes
    with pytest.raises(TypeError):
        attributes["text"] = "b"
    with pytest.raises(AttributeError):
        late.attributes = {}  # pyright: ignore[reportAttributeAccessIssue]


def test_an_exporter_that_writes_to_the_sdks_private_names_changes_what_is_read(late: ReadableSpan) -> None:
    changed: Any = late
    changed._name, changed._attributes, changed.seen = "other", {"a": 1}, True
    assert (late.name, dict(late.attributes or {}), changed.seen) == ("other", {"a": 1}, True)
    assert '"name": "other"' in late.to_json()


def test_what_was_said_does_not_get_through_the_gate(world, clock) -> None:
    said, here = "purpleotter sings", world()
    with here.synthesis(gen_ai__request__model=said) as synthesis, synthesis.stage("vocoder") as stage:
        for span in (synthesis, stage):
            span.update_name(said)
            span.set_attributes({names.VOICE: said, said: 1, "text": said, names.STAGE_SEGMENTS: 2})
            span.add_event(said, {said: said})
            span.set_status(StatusCode.ERROR, said)
    cleaner, given = Cleaner(Policy()), here.drain().spans
    clean = cleaner.clean_all(given, cleaner.span)
    content, count = SpanEncoder().encode(clean)
    assert said.encode() in SpanEncoder().encode(given)[0]
    assert count == 2 and names.STAGE_SEGMENTS.encode() in content
    assert b"purpleotter" not in content
    assert not any("purpleotter" in span.to_json() for span in clean)


def test_a_clean_one_gets_through_as_it_is(late: ReadableSpan) -> None:
    late._attributes, late._events = {names.STAGE: "vocoder"}, ()
    assert Cleaner(Policy()).span(late) is late


class Hoarder(SpanExporter):
    """A user's exporter that keeps what it gets."""

    def __init__(self) -> None:
        self.kept: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.kept += spans
        return SpanExportResult.SUCCESS


def test_what_an_exporter_keeps_stays_as_it_was(world, clock) -> None:
    exporter = Hoarder()
    here = world(processors=(SimpleSpanProcessor(exporter),))
    for number in range(3):
        with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
            stage.set_attribute("number", number)
    here.drain()
    kept = [span for span in exporter.kept if span.name == "tts.vocoder"]
    assert [span.attributes["number"] for span in kept] == [0, 1, 2]
    parents = {span.context.span_id for span in exporter.kept if span.parent is None}
    assert {span.parent.span_id for span in kept} == parents

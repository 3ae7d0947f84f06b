# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What leaves is, byte for byte, what the SDK's own encoder makes of the same spans, log records and metrics."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_tts.export import wire
from otel_tts.export.log_bytes import LogEncoder
from otel_tts.export.metric_bytes import MetricEncoder
from otel_tts.export.span_bytes import SpanEncoder

SPANS, LOGS, METRICS = SpanEncoder(), LogEncoder(), MetricEncoder()
"""Shared by all examples, so that what one of them left behind in a memory meets the next."""


class Text(str):
    """A subclass, as numpy's str_."""


class Mode(str, Enum):
    """Its str() is not its value."""

    FAST = "fast"


class Whole(int):
    """A subclass, as http.HTTPStatus."""


EDGES = sorted(
    {sign * (2**bits + off) for bits in (7, 8, 14, 21, 28, 35, 53, 63, 70) for off in (-1, 0, 1) for sign in (1, -1)}
)
texts = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        ["", "a", "tts.engine", "中文语音合成", "é" * 70, "x" * 127, "y" * 128, "z" * 20_000, "🎧", "\x00\n"]
    ),
)
lone_surrogates = st.sampled_from(["\ud800", "a\udfffb", "\udc80" * 3])
numbers = st.one_of(
    st.integers(), st.sampled_from([0, 1, -1, *EDGES]), st.builds(Whole, st.integers(-(2**63), 2**63 - 1))
)
floats = st.one_of(st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, math.inf, -math.inf, 5e-324]))
plain = st.one_of(
    texts,
    lone_surrogates,
    numbers,
    floats,
    st.booleans(),
    st.none(),
    st.binary(max_size=200),
    texts.map(Text),
    st.just(Mode.FAST),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers()), inner, max_size=4),
    ),
    max_leaves=12,
)
unheard_of = st.sampled_from([object(), 1j, {1, 2}, range])
keys = st.one_of(texts, st.sampled_from(["a", "b.c", "tts.engine", "k" * 130, "键"]), lone_surrogates)
free = st.one_of(st.none(), st.dictionaries(keys, st.one_of(values, unheard_of), max_size=6))
nanoseconds = st.sampled_from([0, 1, 10**18, 2**62, 2**63, 2**64 - 1])
dropped = st.sampled_from([0, 1, 130, 70_000, 2**32 - 1])


@st.composite
def limited(draw: st.DrawFn) -> Any:
    """Attributes of a recording span: some were dropped by a limit."""
    attributes = BoundedAttributes(attributes=draw(st.dictionaries(texts.filter(bool), texts | floats, max_size=4)))
    attributes.dropped = draw(dropped)
    return attributes


@st.composite
def lists(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> Any:
    found = draw(st.lists(items, max_size=3))
    if draw(st.booleans()):
        return found
    bounded: Any = BoundedList(None)
    bounded.extend(found)
    bounded.dropped = draw(dropped)
    return bounded


@st.composite
def contexts(draw: st.DrawFn) -> SpanContext:
    state = TraceState(draw(st.sampled_from([[], [("ot", "th:c")], [("vendor", "x=1"), ("a", "b")]])))
    ids = st.sampled_from([1, 2**64 - 1, 0xABCDEF])
    flags = TraceFlags(draw(st.sampled_from([0, 1, 3])))
    return SpanContext(draw(ids) << 64 | draw(ids), draw(ids), draw(st.booleans()), flags, state)


attributes = free | limited()
resources = st.sampled_from(
    [
        Resource({"service.name": "x", "n": 5, "list": ("a", "b"), "f": 0.5}),
        Resource({"service.name": "x", "n": 5, "list": ("a", "b"), "f": 0.5}),
        Resource({}, "https://opentelemetry.io/schemas/1.37.0"),
    ]
)
scopes = st.sampled_from(
    [
        InstrumentationScope("otel_tts", "0.1"),
        InstrumentationScope("otel_tts", "0.1"),
        InstrumentationScope("", None),
        InstrumentationScope("s", "1", "https://opentelemetry.io/schemas/1.37.0", {"a": 1, "b": "x"}),
        None,
    ]
)
events = st.builds(Event, texts, attributes, nanoseconds)
links = st.builds(Link, contexts(), attributes)
statuses = st.sampled_from([Status(StatusCode.UNSET), Status(StatusCode.OK), Status(StatusCode.ERROR, "boom 中")])
spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts(),
    parent=st.none() | contexts(),
    resource=resources,
    attributes=attributes,
    events=lists(events),
    links=lists(links),
    kind=st.sampled_from(list(SpanKind)),
    status=statuses,
    start_time=nanoseconds,
    end_time=nanoseconds,
    instrumentation_scope=scopes,
)


@st.composite
def log_records(draw: st.DrawFn) -> ReadableLogRecord:
    context = Context()
    if draw(st.booleans()):
        context = set_span_in_context(NonRecordingSpan(draw(contexts())), context)
    record = LogRecord(
        timestamp=draw(st.none() | nanoseconds),
        observed_timestamp=draw(nanoseconds.filter(bool)),
        context=context,
        severity_number=draw(st.none() | st.sampled_from(list(SeverityNumber))),
        severity_text=draw(st.none() | texts),
        body=draw(values.filter(can_be_a_body)),
        attributes=draw(attributes),
        event_name=draw(st.none() | texts),
    )
    return ReadableLogRecord(record, draw(resources), draw(scopes))


def can_be_a_body(value: Any) -> bool:
    """Whether the SDK's encoder does not lose the whole batch to it."""
    if isinstance(value, dict):
        return all(can_be_a_body(str(key)) and can_be_a_body(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(can_be_a_body, value))
    if isinstance(value, str):
        return not any("\ud800" <= c <= "\udfff" for c in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Both encoders say what they leave out, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def assert_the_same(theirs: Any, ours: tuple[bytes, int], items: int) -> None:
    content, count = ours
    assert count == items
    if content != theirs.SerializeToString():
        assert type(theirs).FromString(content) == theirs  # says where they differ
        raise AssertionError("the same, but not byte for byte")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spans, min_size=1, max_size=5))
def test_spans(batch: list[ReadableSpan]) -> None:
    assert_the_same(encode_spans(batch), SPANS.encode(batch), len(batch))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(log_records(), min_size=1, max_size=5))
def test_log_records(batch: list[ReadableLogRecord]) -> None:
    assert_the_same(encode_logs(batch), LOGS.encode(batch), len(batch))


labels = st.fixed_dictionaries(
    {"l": st.sampled_from("xyz"), "n": st.sampled_from([1, 1.5, True]), "s": st.just(("p", "q"))}
)
measurements = st.lists(
    st.tuples(
        st.sampled_from(["c", "u", "h", "exp.h", "g"]), st.sampled_from([0, 1, 2**40, 0.5, 1e-9, 1e9, -7]), labels
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(measurements, resources, st.booleans(), st.sampled_from(list(AggregationTemporality)[1:]))
def test_metrics(
    measured: list[tuple[str, float, Any]], resource: Resource, traced: bool, temporality: AggregationTemporality
) -> None:
    reader = InMemoryMetricReader({Counter: temporality, Histogram: temporality})
    views = [View(instrument_name="exp*", aggregation=ExponentialBucketHistogramAggregation(max_size=20))]
    provider = MeterProvider([reader], resource, views=views, shutdown_on_exit=False)
    inside = set_span_in_context(NonRecordingSpan(SpanContext(5, 6, False, TraceFlags(1))), Context())
    for scope in ({"name": "otel_tts"}, {"name": "s", "version": "1", "schema_url": "u", "attributes": {"a": 1}}):
        meter = provider.get_meter(**scope)
        record = {
            "c": meter.create_counter("c", "1", "counts").add,
            "u": meter.create_up_down_counter("u").add,
            "h": meter.create_histogram("h", "s", "长", explicit_bucket_boundaries_advisory=[0.1, 1.0]).record,
            "exp.h": meter.create_histogram("exp.h").record,
            "g": meter.create_gauge("g").set,
        }
        meter.create_observable_gauge("og", [lambda _: [Observation(1.5, {"a": "b"}), Observation(-3)]])
        meter.create_observable_counter("oc", [lambda _: [Observation(7, {})]])
        for name, value, attributes in measured:
            if value >= 0 or name in ("u", "g"):
                record[name](value, attributes, inside if traced else Context())
    data = reader.get_metrics_data()
    assert data is not None
    metrics = sum(len(scope.metrics) for part in data.resource_metrics for scope in part.scope_metrics)
    assert_the_same(encode_metrics(data), METRICS.encode(data), metrics)
    provider.shutdown()


RESOURCE = Resource({})


def span(name: str = "s", **more: Any) -> ReadableSpan:
    return ReadableSpan(name, SpanContext(1, 2, False), resource=RESOURCE, **more)


def test_equal_values_of_other_types_are_told_apart() -> None:
    for value in (1, True, 1.0, "1", 0, False, 0.0, -0.0, ""):
        batch = [span(attributes={"same": value})]
        assert SPANS.encode(batch)[0] == SPANS.encode(batch)[0]
        assert_the_same(encode_spans(batch), SPANS.encode(batch), 1)


@pytest.mark.parametrize("around", [128, 256, 1 << 14, 1 << 21])
def test_lengths_of_every_number_of_digits(around: int) -> None:
    batch = [span(attributes={"text": "x" * length}) for length in range(around - 64, around + 1)]
    assert_the_same(encode_spans(batch), SPANS.encode(batch), len(batch))


def test_numbers_that_never_come_again_leave_those_in_use_remembered() -> None:
    batch = [span(attributes={"size": number << 9, "rate": 24_000, "peak": -number}) for number in range(20_000)]
    for part in (batch[start : start + 500] for start in range(0, len(batch), 500)):
        assert_the_same(encode_spans(part), SPANS.encode(part), len(part))
    pairs = SPANS._attributes._pairs
    assert ("rate", 24_000) in pairs.young or ("rate", 24_000) in pairs._old
    assert len(pairs.young) + len(pairs._old) < 10_000


def test_half_a_surrogate_pair_in_a_name_costs_a_character_and_not_the_batch() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_spans([span("a\ud800b")])
    assert SPANS.encode([span("a\ud800b"), span("c")]) == SPANS.encode([span("a?b"), span("c")])


def test_an_item_that_cannot_be_encoded_costs_itself() -> None:
    beyond = span(end_time=2**64)
    content, count = SPANS.encode([span("a"), beyond, span("b")])
    assert count == 2
    assert content == encode_spans([span("a"), span("b")]).SerializeToString()


def test_what_is_remembered_is_bounded_and_what_is_in_use_stays() -> None:
    memory = wire.Memory(many=10)
    for number in range(1000):
        memory.keep(number, b"x")
        assert memory.get(0) == b"x" or memory.keep(0, b"x")
    assert len(memory.young) + len(memory._old) <= 20
    assert memory.get(0) == b"x" and memory.get(999) == b"x" and memory.get(500) is None


@pytest.mark.thorough
def test_a_million_attributes() -> None:
    many = {f"k{number}": number for number in range(1_000_000)}
    content, count = SpanEncoder().encode([span(attributes=many)])
    assert count == 1 and len(content) > 10_000_000

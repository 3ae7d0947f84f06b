# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What late spans rely on in OpenTelemetry's private parts, and what happens where it is gone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    Tracer,
    TracerProvider,
    _disable_tracer_configurator,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanContext, TraceFlags

from otel_tts.otel_private import tracing


def provider(*processors: SpanProcessor, **options) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False, **options)
    for processor in processors:
        made.add_span_processor(processor)
    return made


class Named(SpanProcessor):
    def __init__(self, name: str, seen: list[str]) -> None:
        self._name, self._seen = name, seen

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self._seen.append(self._name)
        return True


def test_batch_and_simple_processors_look_at_ended_spans_only() -> None:
    batch = BatchSpanProcessor(InMemorySpanExporter())
    assert tracing.only_ended_spans_matter(provider(batch, SimpleSpanProcessor(InMemorySpanExporter())))
    batch.shutdown()
    assert tracing.only_ended_spans_matter(provider())
    for kind in (BatchSpanProcessor, SimpleSpanProcessor):
        assert kind.on_start(None, None, None) is None, "their on_start does something by now"
        assert kind._on_ending(None, None) is None


def test_any_other_processor_may_look_at_started_spans() -> None:
    class Sub(SimpleSpanProcessor):
        pass

    assert not tracing.only_ended_spans_matter(provider(SpanProcessor()))
    assert not tracing.only_ended_spans_matter(provider(Sub(InMemorySpanExporter())))
    safe = SpanProcessor()
    safe.late_safe = True
    assert tracing.only_ended_spans_matter(provider(safe))


class Seen(SpanProcessor):
    """Keeps what it is told of."""

    late_safe = True

    def __init__(self) -> None:
        self.ended: list[object] = []

    def on_end(self, span) -> None:
        self.ended.append(span)


def test_a_sampled_span_goes_to_each_that_would_do_something_with_it() -> None:
    quiet, seen = SpanProcessor(), Seen()
    batch, simple = BatchSpanProcessor(InMemorySpanExporter()), SimpleSpanProcessor(InMemorySpanExporter())
    made = provider(quiet, batch, seen, simple)
    assert tracing.takers_of_sampled(made) == (batch._batch_processor.emit, seen.on_end, simple.on_end)
    batch.shutdown()


@pytest.mark.parametrize("flags", [0, 1, 3])
def test_a_batch_processor_only_asks_whether_a_span_is_sampled(flags: int) -> None:
    batch = BatchSpanProcessor(InMemorySpanExporter())
    span = ReadableSpan("s", SpanContext(1, 2, False, TraceFlags(flags)))
    taken: list[object] = []
    batch._batch_processor.emit = taken.append
    batch.on_end(span)
    assert taken == ([span] if flags & 1 else [])
    batch.shutdown()


def test_processors_that_are_called_in_another_way_are_called_in_that_way() -> None:
    made = provider(Seen(), active_span_processor=ConcurrentMultiSpanProcessor(num_threads=1))
    assert tracing.takers_of_sampled(made) == (made._active_span_processor.on_end,)
    made.shutdown()


def test_a_batch_processor_without_the_private_queue_takes_spans_itself() -> None:
    batch = BatchSpanProcessor(InMemorySpanExporter())
    queue, batch._batch_processor = batch._batch_processor, None
    assert tracing.takers_of_sampled(provider(batch)) == (batch.on_end,)
    queue.shutdown()


def test_metrics_of_the_sdk_itself_count_started_spans(monkeypatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert not tracing.only_ended_spans_matter(provider())


@pytest.mark.parametrize("multi", [None, ConcurrentMultiSpanProcessor], ids=["one by one", "concurrent"])
def test_a_processor_put_first_is_flushed_first(multi) -> None:
    seen: list[str] = []
    made = provider(Named("theirs", seen), active_span_processor=multi(num_threads=1) if multi else None)
    assert tracing.put_first(made, Named("ours", seen))
    made.force_flush()
    assert seen == ["ours", "theirs"]
    made.shutdown()


@pytest.mark.parametrize("foreign", [object(), trace.NoOpTracerProvider(), SimpleNamespace(_active_span_processor=1)])
def test_where_the_private_names_are_gone_nothing_breaks(foreign) -> None:
    assert not tracing.only_ended_spans_matter(foreign)
    assert not tracing.put_first(foreign, SpanProcessor())


def test_limits_scope_and_samplers_are_where_we_look() -> None:
    limits = SpanLimits(max_events=7)
    tracer = provider(span_limits=limits).get_tracer("scope", "1.0")
    assert isinstance(tracer, Tracer)
    assert tracing.span_limits(tracer) is limits
    assert (tracing.scope_of(tracer).name, tracing.scope_of(tracer).version) == ("scope", "1.0")
    for name in ("max_span_attributes", "max_events", "max_event_attributes", "max_span_attribute_length"):
        assert hasattr(limits, name)
    sampler = ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF, local_parent_not_sampled=ALWAYS_ON)
    assert tracing.local_samplers(sampler) == (ALWAYS_OFF, ALWAYS_ON)


def test_a_tracer_knows_whether_it_is_enabled() -> None:
    assert tracing.switch_of(provider().get_tracer("a"))()
    assert not tracing.switch_of(provider(_tracer_configurator=_disable_tracer_configurator).get_tracer("a"))()
    assert tracing.switch_of(object())()


def test_what_exports_can_be_wrapped_and_nothing_else() -> None:
    seen: list[str] = []
    other, exporting = Named("other", seen), SimpleSpanProcessor(InMemorySpanExporter())
    here = provider(other, exporting)
    assert tracing.wrap_exporting(here, lambda one: Named(type(one).__name__, seen))
    here.force_flush()
    assert seen == ["other", "SimpleSpanProcessor"]
    assert not tracing.wrap_exporting(trace.NoOpTracerProvider(), lambda one: one)

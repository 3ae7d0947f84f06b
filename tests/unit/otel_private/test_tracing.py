# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What late spans rely on in OpenTelemetry's private parts, and what happens where it is gone."""

from __future__ import annotations

import contextvars
from types import SimpleNamespace

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SpanLimits,
    SpanProcessor,
    Tracer,
    TracerProvider,
    _disable_tracer_configurator,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from otel_tts.otel_private import context, tracing


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


def test_the_key_is_the_one_under_which_a_context_keeps_its_span() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
    assert trace.set_span_in_context(span, context_api.Context())[context.SPAN_KEY] is span


def test_entering_and_leaving_are_attach_and_detach() -> None:
    inside = context_api.set_value("key", "inside", context_api.Context())
    before = context_api.get_current()
    token = context.enter_context(inside)
    assert context_api.get_current() is context.current_context() is inside
    context.leave_context(inside, token)
    assert context_api.get_current() == before
    token = context.enter_context(inside)
    context.restore_context(token)
    assert context_api.get_current() == before


def test_leaving_what_is_not_current_changes_nothing() -> None:
    inside, other = context_api.Context({"a": 1}), context_api.Context({"b": 2})
    token = context.enter_context(inside)
    outer = context_api.attach(other)
    context.leave_context(inside, token)
    assert context_api.get_current() is other
    context_api.detach(outer)
    context.restore_context(token)


def test_leaving_in_a_copy_of_the_context_is_no_error() -> None:
    inside = context_api.Context({"a": 1})
    token = context.enter_context(inside)
    contextvars.copy_context().run(context.leave_context, inside, token)
    context.restore_context(token)


def test_the_suppressed_context_silences_instrumentations() -> None:
    token = context_api.attach(context.suppressed_context())
    try:
        assert not is_instrumentation_enabled()
    finally:
        context_api.detach(token)
    assert is_instrumentation_enabled()


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
    assert tracing.is_enabled(provider().get_tracer("a"))
    assert not tracing.is_enabled(provider(_tracer_configurator=_disable_tracer_configurator).get_tracer("a"))
    assert tracing.is_enabled(object())

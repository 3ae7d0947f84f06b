# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The current context by its own variable is the one that OpenTelemetry's public calls know."""

from __future__ import annotations

import contextvars

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_tts.otel_private import context


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

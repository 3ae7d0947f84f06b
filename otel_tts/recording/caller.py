# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whose trace a request belongs to: its caller's, or where callers are anybody one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext


class Caller(NamedTuple):
    """The context in which the request's SERVER span begins, and what that span is linked to."""

    context: Context
    links: tuple[Link, ...] = ()


def caller_of(carried: Mapping[str, str], around: Context, trusts: bool) -> Caller:
    """Read the caller's trace from the headers `carried`, by the propagators that are configured.

    Where the service `trusts` its callers (OTEL_TTS_TRUST_CALLER) the request is a part of their trace. Else it belongs
    to the context `around` the edge and is linked to theirs: a public caller could have every request sampled, or put
    all of them into one trace. What else came along, baggage and trace state, is left behind.
    """
    if trusts:
        return Caller(propagate.extract(carried, around))
    theirs = trace.get_current_span(propagate.extract(carried, Context())).get_span_context()
    if not theirs.is_valid:
        return Caller(around)
    return Caller(around, (Link(SpanContext(theirs.trace_id, theirs.span_id, True, theirs.trace_flags)),))

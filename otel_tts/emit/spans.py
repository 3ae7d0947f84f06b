# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the SDK's spans from finished records.

Two ways with the same result. Where every span processor only looks at ended spans and nothing needs the SDK's limits,
a ReadableSpan goes straight to them (a fifth of the cost). Otherwise a real SDK span is started and ended through
our own tracer, whose id generator and sampler repeat the ids and the decision that were given away at the start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import SpanContext, Status, StatusCode

from otel_tts.otel_private import tracing
from otel_tts.otel_private.context import SPAN_KEY
from otel_tts.otel_private.ended import WholeEvent, WholeSpan
from otel_tts.otel_private.limits import are_simple, exceed
from otel_tts.record import Event, LateSpan
from otel_tts.recording.identity import Identities

_DROP: Final = Decision.DROP
_UNSET: Final = Status(StatusCode.UNSET)


class SpanMaker:
    """Makes spans on the tracer whose ids and decisions were given away at their start. Without an SDK: nothing."""

    def __init__(self, identities: Identities, provider: Any) -> None:
        self._provider, self._tracer = provider, identities.tracer
        if self._tracer is not None:
            self._reserved, self._decided = identities.reserved, identities.decided
            self._limits, self._scope = tracing.span_limits(self._tracer), tracing.scope_of(self._tracer)
        self._straight = False
        self._takers: tuple[Callable[[ReadableSpan], object], ...] = ()
        self.look_at_processors()

    def look_at_processors(self) -> None:
        """Choose the way for the next records; asked again each time, since processors may be added at any time."""
        self._straight = (
            self._tracer is not None
            and not tracing.shortens(self._limits)
            and tracing.only_ended_spans_matter(self._provider)
        )
        self._takers = tracing.takers_of_sampled(self._provider) if self._straight else ()

    def emit(self, record: LateSpan, offset_ns: int) -> None:
        """Make `record` a span; `offset_ns` maps its times to the time of day."""
        if self._tracer is None or record.sampling.decision is _DROP or record.t1 is None:
            return
        sampled: Any = record.sampling.attributes  # pyright: ignore[reportUnknownVariableType]
        attrs = {**sampled, **record.attrs} if sampled else record.attrs
        if self._straight and self._is_simple(record, attrs):
            self._hand_over(record, attrs, offset_ns, record.t1)
        else:
            self._run_through_sdk(record, attrs, offset_ns, record.t1)

    def _is_simple(self, record: LateSpan, attrs: dict[str, Any]) -> bool:
        """Whether the SDK would leave the record as it is: no limit reached, nothing to clean."""
        limits, events = self._limits, record.events
        if record.links or not are_simple(attrs, limits.max_span_attributes):
            return False
        if not events:
            return True
        most = limits.max_event_attributes
        return not exceed(events, limits.max_events) and all(
            not given or are_simple(given, most) for _, given, _, _ in events
        )

    def _hand_over(self, record: LateSpan, attrs: dict[str, Any], offset_ns: int, end: int) -> None:
        tracer, identity, events = self._tracer, record.identity, record.events
        outer: Any = record.outside.get(SPAN_KEY)
        parent: SpanContext | None = outer.get_span_context() if outer is not None else None
        if parent is not None and not parent[5]:
            parent = None
        span = WholeSpan(
            record.name, identity, parent, tracer.resource, attrs, _whole(events, offset_ns) if events else (), (),
            record.kind, tracer.instrumentation_info, record.status or _UNSET, offset_ns + record.t0, offset_ns + end,
            self._scope,
        )  # fmt: skip
        for take in self._takers if identity[3] & 1 else (tracer.span_processor.on_end,):
            take(span)

    def _run_through_sdk(self, record: LateSpan, attrs: dict[str, Any], offset_ns: int, end: int) -> None:
        self._reserved.trace_id, self._reserved.span_id = record.identity[0], record.identity[1]
        self._decided.result = SamplingResult(record.sampling.decision, attrs, record.identity[4])
        span = self._tracer.start_span(
            record.name,
            context=record.outside,
            kind=record.kind,
            links=record.links,
            start_time=offset_ns + record.t0,
        )
        for name, attributes, stamp, at in record.events:
            span.add_event(name, attributes, stamp or offset_ns + at)
        if record.status is not None:
            span.set_status(record.status)
        span.end(offset_ns + end)


def _whole(events: list[Event], offset_ns: int) -> tuple[WholeEvent, ...]:
    return tuple(WholeEvent(name, given, stamp or offset_ns + at) for name, given, stamp, at in events)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the SDK's spans from finished records.

Two ways with the same result. Where every span processor only looks at ended spans and nothing needs the SDK's limits,
a ReadableSpan goes straight to ``on_end`` (a fifth of the cost). Otherwise a real SDK span is started and ended through
our own tracer, whose id generator and sampler repeat the ids and the decision that were given away at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, StaticSampler
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_tts import names
from otel_tts.guard import note_fault
from otel_tts.otel_private import tracing
from otel_tts.otel_private.context import SPAN_KEY
from otel_tts.version import __version__

if TYPE_CHECKING:
    from otel_tts.record import LateSpan

_PLAIN: Final = frozenset((str, int, float, bool))
_UNSET: Final = Status(StatusCode.UNSET)
_DROP: Final = SamplingResult(Decision.DROP)
_NO_STATE: Final = TraceState()


class SpanMaker:
    """Owns our tracer. Without an SDK provider every decision is "drop" and nothing is made."""

    inherited = (_DROP, SamplingResult(Decision.RECORD_AND_SAMPLE))
    """A stage's own result by its parent's flag: the root's must not be reused, its attributes would be copied."""
    usual = (Decision.RECORD_AND_SAMPLE, Decision.DROP)

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        tracer = provider.get_tracer(names.SCOPE, __version__) if isinstance(provider, TracerProvider) else None
        self._tracer: Any = tracer if isinstance(tracer, Tracer) else None  # OTEL_SDK_DISABLED: neither of them
        ids: IdGenerator = RandomIdGenerator()
        self._sampler: Sampler | None = None
        if self._tracer is not None:
            ids = self._tracer.id_generator
            ids = ids.inner if isinstance(ids, _Reserved) else ids
            self._sampler = provider.sampler
            self._ids, self._decided = _Reserved(ids), _Decided()
            self._tracer.id_generator, self._tracer.sampler = self._ids, self._decided
        self.new_span_id: Callable[[], int] = ids.generate_span_id
        self.new_trace_id: Callable[[], int] = ids.generate_trace_id
        self._random = 2 if ids.is_trace_id_random() else 0
        self.inherits = _inherits(self._sampler)
        self._straight = False
        self.look_at_processors()

    def sample(
        self, context: Context, parent: SpanContext | None, trace_id: int, name: str, attrs: dict[str, Any]
    ) -> tuple[TraceFlags, Any, SamplingResult]:
        """Ask the provider's sampler; return flags, trace state and its answer."""
        random = self._random if parent is None or not parent[5] else parent[3] & 2
        if self._sampler is None:
            return TraceFlags(random), _NO_STATE, _DROP
        try:
            result = self._sampler.should_sample(context, trace_id, name, SpanKind.INTERNAL, attrs, ())
        except Exception as error:
            note_fault("sampler", error)
            return TraceFlags(random), _NO_STATE, _DROP
        flags = TraceFlags((1 if result.decision.is_sampled() else 0) | random)
        return flags, result.trace_state or _NO_STATE, result

    def enabled(self) -> bool:
        """Whether spans of ours are wanted at all: there is an SDK, and its configuration does not disable us."""
        return self._tracer is not None and tracing.is_enabled(self._tracer)

    def look_at_processors(self) -> None:
        """Choose the way for the next records; asked again each time, since processors may be added at any time."""
        self._straight = self._tracer is not None and tracing.only_ended_spans_matter(self._provider)

    def emit(self, record: LateSpan, wall: int) -> None:
        """Make `record` a span; `wall` maps its times to the time of day."""
        if self._tracer is None or record.res.decision is Decision.DROP or record.t1 is None:
            return
        sampled: Any = record.res.attributes  # pyright: ignore[reportUnknownVariableType]
        attrs = {**sampled, **record.attrs} if sampled else record.attrs
        if self._straight and _is_simple(record, attrs, tracing.span_limits(self._tracer)):
            self._hand_over(record, attrs, wall, record.t1)
        else:
            self._run_through_sdk(record, attrs, wall, record.t1)

    def _hand_over(self, record: LateSpan, attrs: dict[str, Any], wall: int, end: int) -> None:
        tracer = self._tracer
        outer: Any = record.parent.get(SPAN_KEY)
        parent: SpanContext | None = outer.get_span_context() if outer is not None else None
        if parent is not None and not parent.is_valid:
            parent = None
        tracer.span_processor.on_end(
            ReadableSpan(
                record.name, record.sc, parent, tracer.resource, attrs,
                [Event(name, attributes, stamp or wall + at) for name, attributes, stamp, at in record.events], (),
                record.kind, tracer.instrumentation_info, record.status or _UNSET, wall + record.t0, wall + end,
                tracing.scope_of(tracer),
            )
        )  # fmt: skip

    def _run_through_sdk(self, record: LateSpan, attrs: dict[str, Any], wall: int, end: int) -> None:
        self._ids.trace_id, self._ids.span_id = record.sc[0], record.sc[1]
        self._decided.result = SamplingResult(record.res.decision, attrs, record.sc[4])
        span = self._tracer.start_span(
            record.name, context=record.parent, kind=record.kind, links=record.links, start_time=wall + record.t0
        )
        for name, attributes, stamp, at in record.events:
            span.add_event(name, attributes, stamp or wall + at)
        if record.status is not None:
            span.set_status(record.status)
        span.end(wall + end)


class _Reserved(IdGenerator):
    """On our own tracer only: hands out the ids that were given away at the start."""

    trace_id = span_id = 0

    def __init__(self, inner: IdGenerator) -> None:
        self.inner = inner

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id

    def is_trace_id_random(self) -> bool:
        return self.inner.is_trace_id_random()


class _Decided(Sampler):
    """On our own tracer only: repeats the decision of the start, since the user's sampler is asked once per span."""

    result: SamplingResult = _DROP

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return self.result

    def get_description(self) -> str:
        return "otel_tts: decided at the start"


def _inherits(sampler: Sampler | None) -> bool:
    """Whether a child of a local span always has its parent's decision, so that stages need not ask."""
    if sampler is None:
        return True
    if type(sampler) is StaticSampler:
        return _static(sampler) in SpanMaker.usual
    return type(sampler) is ParentBased and SpanMaker.usual == tuple(
        _static(local) for local in tracing.local_samplers(sampler)
    )


def _static(sampler: Sampler) -> Decision | None:
    """Return what a sampler always decides, None for one that looks closer."""
    if type(sampler) is not StaticSampler:
        return None
    return sampler.should_sample(Context(), 0, "").decision


def _is_simple(record: LateSpan, attrs: dict[str, Any], limits: Any) -> bool:
    """Whether the SDK would leave the record as it is: no limit reached, nothing to clean."""
    if (
        record.links
        or limits.max_span_attribute_length is not None
        or limits.max_attribute_length is not None
        or _exceeds(record.events, limits.max_events)
        or not _are_simple(attrs, limits.max_span_attributes)
    ):
        return False
    return all(not event[1] or _are_simple(event[1], limits.max_event_attributes) for event in record.events)


def _are_simple(attrs: dict[str, Any], limit: int | None) -> bool:
    for key, value in attrs.items():
        if (value.__class__ not in _PLAIN and not _is_names(value)) or key.__class__ is not str or not key:
            return False
    return not _exceeds(attrs, limit)


def _exceeds(items: Sized, limit: int | None) -> bool:
    return limit is not None and len(items) > limit


def _is_names(value: Any) -> bool:
    return value.__class__ is tuple and all(item.__class__ is str for item in value)

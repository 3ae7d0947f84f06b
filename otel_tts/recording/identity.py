# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Who a span is, before there is one: its ids from the provider's generator, and the answer of its sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from otel_tts import names
from otel_tts.guard import note_fault
from otel_tts.otel_private import tracing
from otel_tts.version import __version__

_DROP: Final = SamplingResult(Decision.DROP)
_NO_STATE: Final = TraceState()
_USUAL: Final = (Decision.RECORD_AND_SAMPLE, Decision.DROP)
_FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))


class Identities:
    """Owns our tracer. Without an SDK provider every decision is "drop"."""

    inherited = (_DROP, SamplingResult(Decision.RECORD_AND_SAMPLE))
    """A stage's own result by its parent's flag: the root's must not be reused, its attributes would be copied."""

    def __init__(self, provider: Any) -> None:
        tracer = provider.get_tracer(names.SCOPE, __version__) if isinstance(provider, TracerProvider) else None
        self.tracer: Any = tracer if isinstance(tracer, Tracer) else None  # OTEL_SDK_DISABLED: neither of them
        ids: IdGenerator = RandomIdGenerator()
        self._sampler: Sampler | None = None
        self.enabled: Callable[[], bool] = lambda: False
        """Whether spans of ours are wanted at all: there is an SDK, and its configuration does not disable us."""
        if self.tracer is not None:
            self.enabled = tracing.switch_of(self.tracer)
            ids = self.tracer.id_generator
            ids = ids.inner if isinstance(ids, Reserved) else ids
            self._sampler = provider.sampler
            self.reserved, self.decided = Reserved(ids), Decided()
            self.tracer.id_generator, self.tracer.sampler = self.reserved, self.decided
        self.new_span_id: Callable[[], int] = ids.generate_span_id
        self.new_trace_id: Callable[[], int] = ids.generate_trace_id
        self._random = 2 if ids.is_trace_id_random() else 0
        self.inherits = _inherits(self._sampler)
        self._fixed = _fixed(self._sampler)
        self.by_id_alone = _by_id_alone(self._sampler)
        """The sampler decides by the parent and the trace's id alone: it needs no attributes of a span."""

    def sample(
        self,
        context: Context,
        parent: SpanContext | None,
        trace_id: int,
        name: str,
        attrs: dict[str, Any],
        kind: SpanKind,
    ) -> tuple[TraceFlags, Any, SamplingResult]:
        """Ask the provider's sampler, once for each span; return flags, trace state and its answer.

        One that answers always the same is not asked.
        """
        if parent is None or not parent[5]:
            random, state, fixed = self._random, _NO_STATE, self._fixed[0]
        else:
            flag = parent[3]
            random, state, fixed = flag & 2, parent[4], None if parent[2] else self._fixed[1 + (flag & 1)]
        if fixed is not None:
            return _FLAGS[random | fixed[0]], state, fixed[1]
        result = self._ask(context, trace_id, name, kind, attrs)
        return _FLAGS[result.decision.is_sampled() | random], result.trace_state or _NO_STATE, result

    def _ask(self, context: Context, trace_id: int, name: str, kind: SpanKind, attrs: dict[str, Any]) -> SamplingResult:
        if self._sampler is None:
            return _DROP
        try:
            return self._sampler.should_sample(context, trace_id, name, kind, attrs, ())
        except Exception as error:
            note_fault("sampler", error)
            return _DROP


class Reserved(IdGenerator):
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


class Decided(Sampler):
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
        return _static(sampler) in _USUAL
    return type(sampler) is ParentBased and tuple(_static(local) for local in tracing.local_samplers(sampler)) == _USUAL


def _by_id_alone(sampler: Sampler | None) -> bool:
    if type(sampler) is ParentBased:
        return all(_by_id_alone(one) for one in tracing.all_samplers(sampler))
    return sampler is None or type(sampler) in (StaticSampler, TraceIdRatioBased)


_Answer = tuple[int, SamplingResult]
"""A sampler's answer, with the flag that a span has of it."""


def _fixed(sampler: Sampler | None) -> tuple[_Answer | None, _Answer | None, _Answer | None]:
    """Return what is answered without a parent, below an unsampled local one and below a sampled one, where it is
    always the same."""
    if type(sampler) is ParentBased:
        root, *_, sampled, unsampled = tracing.all_samplers(sampler)
    else:
        root = sampled = unsampled = sampler
    return _answer(root), _answer(unsampled), _answer(sampled)


def _answer(sampler: Sampler | None) -> _Answer | None:
    decision = _static(sampler)
    return None if decision is None else (int(decision.is_sampled()), SamplingResult(decision))


def _static(sampler: Sampler | None) -> Decision | None:
    """Return what a sampler always decides, None for one that looks closer."""
    if type(sampler) is not StaticSampler:
        return None
    return sampler.should_sample(Context(), 0, "").decision

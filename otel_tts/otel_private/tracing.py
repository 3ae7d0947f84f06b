# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private names of OpenTelemetry's tracer and its processors that late spans rely on.

tests/unit/otel_private/test_tracing.py pins what each does upstream. Where one is gone, records go through real SDK
spans (`only_ended_spans_matter` says False) or are drained by the thread alone (`put_first` does nothing).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased


def only_ended_spans_matter(provider: Any) -> bool:
    """Whether no processor of `provider` looks at a span before its end and nobody counts started spans.

    True for batch and simple processors and for ours, which say so by ``late_safe``.
    """
    if os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").lower() == "true":
        return False
    processors = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", None)
    if processors is None:
        return False
    return all(map(is_late_safe, processors))


def takers_of_sampled(provider: Any) -> tuple[Callable[[ReadableSpan], object], ...]:
    """Return what takes a sampled span that has ended, for each processor of `provider` to which that means anything.

    A batch processor's is its queue's: in front of it stands the question whether the span is sampled.
    """
    multi: Any = provider._active_span_processor
    if type(multi) is not SynchronousMultiSpanProcessor:
        return (multi.on_end,)
    return tuple(_taker(one) for one in multi._span_processors if type(one).on_end is not SpanProcessor.on_end)


def _taker(processor: Any) -> Callable[[ReadableSpan], object]:
    queue = getattr(processor, "_batch_processor", None) if type(processor) is BatchSpanProcessor else None
    return getattr(queue, "emit", processor.on_end)


def is_late_safe(processor: Any) -> bool:
    """Whether a processor never looks at a span before its end."""
    return type(processor) in (BatchSpanProcessor, SimpleSpanProcessor) or getattr(processor, "late_safe", False)


def wrap_exporting(provider: Any, wrap: Callable[[Any], SpanProcessor]) -> bool:
    """Put what `wrap` returns in the place of each processor of an SDK provider that exports. False where it cannot."""
    multi: Any = getattr(provider, "_active_span_processor", None)
    processors = getattr(multi, "_span_processors", None)
    if processors is None:
        return False
    exporting = (BatchSpanProcessor, SimpleSpanProcessor)
    multi._span_processors = tuple(wrap(one) if isinstance(one, exporting) else one for one in processors)
    return True


def put_first(provider: Any, processor: SpanProcessor) -> bool:
    """Add `processor` before all others of an SDK provider, so that a flush reaches it first. False where it cannot."""
    multi: Any = getattr(provider, "_active_span_processor", None)
    processors = getattr(multi, "_span_processors", None)
    if processors is None:
        return False
    multi._span_processors = (processor, *processors)
    return True


def span_limits(tracer: Any) -> Any:
    """Return the SDK tracer's SpanLimits."""
    return tracer._span_limits


def shortens(limits: Any) -> bool:
    """Whether SpanLimits cut long attributes off."""
    return limits.max_span_attribute_length is not None or limits.max_attribute_length is not None


def scope_of(tracer: Any) -> Any:
    """Return the SDK tracer's InstrumentationScope."""
    return tracer._instrumentation_scope


def switch_of(tracer: Any) -> Callable[[], bool]:
    """Return what says whether the provider's tracer configurator leaves this tracer on."""
    return getattr(tracer, "_is_enabled", lambda: True)


def local_samplers(sampler: ParentBased) -> tuple[Any, Any]:
    """Return what a ParentBased sampler asks for children of sampled and of unsampled local spans."""
    return sampler._local_parent_sampled, sampler._local_parent_not_sampled


def all_samplers(sampler: ParentBased) -> tuple[Any, ...]:
    """Return whom a ParentBased sampler may ask."""
    return sampler._root, sampler._remote_parent_sampled, sampler._remote_parent_not_sampled, *local_samplers(sampler)

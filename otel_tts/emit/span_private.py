# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private names of OpenTelemetry's tracing that late spans rely on, and nothing else in the package touches.

tests/unit/emit/test_span_private.py pins what each does upstream. Where one is gone, records go through real SDK spans
(`only_ended_spans_matter` says False) or are drained by the thread alone (`put_first` does nothing).
"""

from __future__ import annotations

import os
from typing import Any, Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, attach, detach, get_current, set_value
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace.propagation import _SPAN_KEY

SPAN_KEY: Final = _SPAN_KEY
"""Key of the current span in a Context: setting it directly costs a third of ``set_span_in_context``."""

_suppressed: Final = set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, Context())


def suppressed_context() -> Context:
    """Return the context in which instrumentations stay silent: telemetry about making telemetry is noise."""
    return _suppressed


def only_ended_spans_matter(provider: Any) -> bool:
    """Whether no processor of `provider` looks at a span before its end and nobody counts started spans.

    True for batch and simple processors and for ours, which say so by ``late_safe``.
    """
    if os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").lower() == "true":
        return False
    processors = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", None)
    if processors is None:
        return False
    return all(
        type(p) in (BatchSpanProcessor, SimpleSpanProcessor) or getattr(p, "late_safe", False) for p in processors
    )


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


def scope_of(tracer: Any) -> Any:
    """Return the SDK tracer's InstrumentationScope."""
    return tracer._instrumentation_scope


def is_enabled(tracer: Any) -> bool:
    """Return whether the provider's tracer configurator leaves this tracer on."""
    return getattr(tracer, "_is_enabled", lambda: True)()


def local_samplers(sampler: ParentBased) -> tuple[Any, Any]:
    """Return what a ParentBased sampler asks for children of sampled and of unsampled local spans."""
    return sampler._local_parent_sampled, sampler._local_parent_not_sampled


def _current_context_variable() -> Any:
    """Return the ContextVar in which OpenTelemetry keeps the current context, or None for another runtime context."""
    from opentelemetry.context import _RUNTIME_CONTEXT
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

    if type(_RUNTIME_CONTEXT) is not ContextVarsRuntimeContext:
        return None
    return getattr(_RUNTIME_CONTEXT, "_current_context", None)


_variable: Final = _current_context_variable()

if _variable is not None:
    # Two calls of attach and detach for each chunk and stage are most of its cost; the variable itself is a third.
    current_context = _variable.get
    enter_context = _variable.set
    restore_context = _variable.reset
    """For a step that cannot have changed threads or contexts since `enter_context`."""

    def leave_context(inside: Context, token: Any) -> None:
        """Make the outer context current again, unless somebody else's is current by now.

        A ``with`` around a ``yield`` may be left in another context than it was entered in; detaching there is an
        error that OpenTelemetry logs for each request.
        """
        if current_context() is inside:
            try:
                _variable.reset(token)
            except ValueError:  # a copy of the context in which it was entered
                pass
else:
    current_context = get_current
    enter_context = attach
    restore_context = detach

    def leave_context(inside: Context, token: Any) -> None:
        """As above."""
        if get_current() is inside:
            detach(token)

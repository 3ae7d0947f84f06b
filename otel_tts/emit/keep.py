# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which traces leave (OTEL_TTS_KEEP): those that are worth a look, and a share of the rest.

Whether a request failed, was slow or spoke wrongly is known at its end, and its spans come one after the other. So the
ended spans of a trace that is not in the share wait before the exporters, all that this process made below the same
root, until one of them is worth a look: then all leave, and what comes later at once. Where none was and nothing of the
trace is open any more, they are counted and gone. Metrics and log lines are not touched; exemplars name kept traces.

A trace whose caller has asked for it (its sampled flag came from outside) is kept: the caller's part is already, or
will be, where ours would be missing. The share is drawn by trace id as OpenTelemetry's TraceIdRatioBased draws it, so
that processes with the same share agree.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final

from opentelemetry.sdk.metrics import ExemplarFilter
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from otel_tts import forking, names
from otel_tts.guard import contain
from otel_tts.otel_private import points, tracing
from otel_tts.otel_private.context import SPAN_KEY
from otel_tts.settings import Settings

GRACE_S: Final = 10.0
"""Seconds without news after which a trace of which nothing is open is over."""
MOST_SPANS: Final = 16384
"""Spans that wait at most, as many as the exporters' queue holds; then those of the oldest trace go."""
MOST_TRACES: Final = 16384
"""Traces that are remembered at most."""
_WRONG: Final = frozenset({names.Outcome.ERROR, names.Outcome.ANOMALOUS})
_LOW_64: Final = 2**64 - 1


class _Trace:
    """What is known of one trace."""

    __slots__ = ("heard", "held", "kept", "open", "spans")

    def __init__(self, heard: float) -> None:
        self.kept = False
        self.heard = heard
        self.open: set[int] = set()
        """Spans of the SDK that have not ended."""
        self.held: list[tuple[SpanProcessor, ReadableSpan]] = []
        """Ended spans, each with the processor that is to have it."""
        self.spans = 0


class Keep(SpanProcessor):
    """Decides; the processors that export stand behind `_Held` ones. Safe from any thread."""

    late_safe = True

    def __init__(self, settings: Settings, not_kept: Counter[str], now: Callable[[], float] = time.monotonic) -> None:
        """Count spans that do not leave in `not_kept`, by reason."""
        self._settings, self._not_kept, self._now = settings, not_kept, now
        self._below = round(settings.keep * 2**64)
        self._slow_ns = settings.keep_slow * 1e9
        self._lock = threading.Lock()
        self._traces: dict[int, _Trace] = {}
        self._waiting = 0
        self._closed = False

    # --- what the provider calls --------------------------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Note an open span of the SDK, and whether a caller asked for its trace."""
        trace_id, span_id = _ids(span)
        if self._is_in_share(trace_id):
            return
        with self._lock:
            trace = self._find(trace_id)
            trace.open.add(span_id)
            trace.kept = trace.kept or _has_a_caller(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Look at an ended span, before the processors that export get it."""
        trace_id, span_id = _ids(span)
        if self._is_in_share(trace_id):
            return
        matters = contain("keep", self._matters, span)
        with self._lock:
            trace = self._find(trace_id)
            trace.open.discard(span_id)
            trace.heard = self._now()
            freed = self._release(trace) if trace.kept or matters else []
            trace.spans += not trace.kept
        _hand_over(freed)

    def shutdown(self) -> None:
        """Let go of what waits: nothing was worth a look up to now."""
        self.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing leaves sooner: what of a request that is open waits may still turn out to be worth a look."""
        return True

    # --- asked by others ----------------------------------------------------------------------------------------------

    def hold(self, processor: SpanProcessor, span: ReadableSpan) -> bool:
        """Keep an ended span back from `processor`; False where it is to have it now."""
        trace_id, _ = _ids(span)
        if self._is_in_share(trace_id):
            return False
        with self._lock:
            trace = self._find(trace_id)
            if trace.kept:
                return False
            if self._closed:
                self._forget(trace_id, "share")
                return True
            trace.held.append((processor, span))
            self._waiting += 1
            while self._waiting > MOST_SPANS or len(self._traces) > MOST_TRACES:
                self._forget(next(iter(self._traces)), "full")
        return True

    def keep(self, trace_id: int) -> None:
        """Say that a trace is worth a look, whatever its spans say."""
        if self._is_in_share(trace_id):
            return
        with self._lock:
            freed = self._release(self._find(trace_id))
        _hand_over(freed)

    def is_kept(self, trace_id: int) -> bool:
        """Whether it is known by now that this trace leaves."""
        if self._is_in_share(trace_id):
            return True
        trace = self._traces.get(trace_id)
        return trace is not None and trace.kept

    def look(self, at_work: Collection[int], grace_s: float = GRACE_S) -> None:
        """Let go of traces that are over; `at_work` are the trace ids of requests that are not yet spans."""
        limit = self._now() - grace_s
        with self._lock:
            for trace_id, trace in list(self._traces.items()):
                if trace.heard <= limit and not trace.open and trace_id not in at_work:
                    self._forget(trace_id, "share")

    def close(self) -> None:
        """At the end: let go of all that waits. A span that still comes is decided by itself."""
        with self._lock:
            self._closed = True
            for trace_id in list(self._traces):
                self._forget(trace_id, "share")

    def renew(self) -> None:
        """In a forked child: what waits is the parent's."""
        self._lock = threading.Lock()
        self._traces.clear()
        self._waiting = 0
        self._not_kept.clear()

    # --- inside the lock ----------------------------------------------------------------------------------------------

    def _find(self, trace_id: int) -> _Trace:
        found = self._traces.get(trace_id)
        if found is None:
            found = self._traces[trace_id] = _Trace(self._now())
        return found

    def _release(self, trace: _Trace) -> list[tuple[SpanProcessor, ReadableSpan]]:
        """Mark as kept; return what has waited, to be handed over outside of the lock."""
        freed, trace.held, trace.kept, trace.spans = trace.held, [], True, 0
        self._waiting -= len(freed)
        return freed

    def _forget(self, trace_id: int, reason: str) -> None:
        trace = self._traces.pop(trace_id)
        self._waiting -= len(trace.held)
        if trace.spans:
            self._not_kept[reason] += trace.spans

    def _is_in_share(self, trace_id: int) -> bool:
        return (trace_id & _LOW_64) < self._below

    def _matters(self, span: ReadableSpan) -> bool:
        """Whether a span is worth a look: it failed, was slow, spoke late or wrongly, or has a caller; a late loop."""
        attributes: Any = span.attributes or {}
        return (
            span.status.status_code is StatusCode.ERROR
            or _has_a_caller(span)
            or (span.end_time or 0) - (span.start_time or 0) > self._slow_ns
            or attributes.get(names.OUTCOME) in _WRONG
            or names.AUDIO_ANOMALY in attributes
            or names.LOOP_CAUSE in attributes
            or bool(attributes.get(names.DEVICE_FALLBACK))
            or attributes.get(names.TIME_TO_FIRST_AUDIO, 0.0) > self._settings.keep_late
        )


class _Held(SpanProcessor):
    """In the place of a processor that exports: asks whether it is to have an ended span."""

    def __init__(self, inner: Any, keep: Keep) -> None:
        self._inner, self._keep = inner, keep
        self._span_processors = (inner,)
        """Where others look for the processors behind one, as in the SDK's own."""
        self.late_safe = tracing.is_late_safe(inner)

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self._inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        if not self._keep.hold(self._inner, span):
            self._inner.on_end(span)

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._inner.force_flush(timeout_millis)


class _OfKept(ExemplarFilter):
    """Of the exemplars that the user's filter wants, those whose trace is kept."""

    def __init__(self, inner: Any, keep: Keep) -> None:
        self._inner, self._keep = inner, keep

    def should_sample(self, value: float, time_unix_nano: int, attributes: Any, context: Any) -> bool:
        if not self._inner.should_sample(value, time_unix_nano, attributes, context):
            return False
        span = context.get(SPAN_KEY)
        return span is None or self._keep.is_kept(span.get_span_context().trace_id)


def install(settings: Settings, tracers: Any, meters: Any, not_kept: Counter[str]) -> Keep | None:
    """Put a `Keep` before what exports in these providers; None where everything is kept, or they are not the SDK's."""
    if settings.keep >= 1:
        return None
    keep = Keep(settings, not_kept)
    if not tracing.wrap_exporting(tracers, lambda processor: _Held(processor, keep)):
        return None
    tracing.put_first(tracers, keep)
    points.narrow_exemplars(meters, lambda inner: _OfKept(inner, keep))
    forking.register("keep", renew=keep.renew)
    return keep


def _has_a_caller(span: Any) -> bool:
    return span.parent is not None and span.parent.is_remote


def _ids(span: Any) -> tuple[int, int]:
    context = span.context
    return context[0], context[1]


def _hand_over(freed: list[tuple[SpanProcessor, ReadableSpan]]) -> None:
    for processor, span in freed:
        processor.on_end(span)

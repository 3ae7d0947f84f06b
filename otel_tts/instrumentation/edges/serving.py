# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The SERVER span of a request: a late one of ours, unless somebody else makes one.

Ours costs the request a fifth of what OpenTelemetry's middleware does, since all but its times is made after the
answer. It gives way to whoever makes a span for the same request at the same edge: there are never two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Span, SpanKind

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.arrival import show_wait
from otel_tts.otel_private.context import SPAN_KEY, current_context, enter_context
from otel_tts.recording.caller import caller_of
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.request import Request
from otel_tts.recording.request import current as current_request
from otel_tts.recording.server import ServerSpan
from otel_tts.settings import Settings

OURS: Final = "own"
CONTRIB: Final = "contrib"

_HEADERS: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_"
_EDGES: Final = (SpanKind.SERVER, SpanKind.CONSUMER)
_CONVENTIONS: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"

ours = True
"""Whether an edge makes a span of its own."""


def choose(settings: Settings, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether the span is ours: as it was asked for, and where nothing is asked for that only contrib's has.

    Those are captured headers, and the conventions of HTTP from before 1.23.
    """
    global ours
    ours = settings.server_span == OURS and not _is_contribs(environ)
    return ours


def _is_contribs(environ: Mapping[str, str]) -> bool:
    stable = environ.get(_CONVENTIONS, "http").split(",")
    return "http" not in [word.strip() for word in stable] or any(environ.get(_HEADERS + s) for s in _DIRECTIONS)


_DIRECTIONS: Final = ("REQUEST", "RESPONSE")


# --- whose trace ------------------------------------------------------------------------------------------------------

_known: tuple[Any, tuple[str, ...], frozenset[bytes]] = (None, (), frozenset())


def propagation_fields() -> tuple[str, ...]:
    """Return the names of the headers that a caller's context may come in: those of the global propagator.

    The same object until that is another one.
    """
    global _known
    propagator = propagate.get_global_textmap()
    if propagator is not _known[0]:
        fields = tuple(field.lower() for field in propagator.fields)
        _known = (propagator, fields, frozenset(field.encode("latin-1") for field in fields))
    return _known[1]


def propagation_headers() -> frozenset[bytes]:
    """Return the same names as ASGI has them."""
    propagation_fields()
    return _known[2]


def trusts_caller() -> bool:
    """Whether the caller may choose the request's id and trace (OTEL_TTS_TRUST_CALLER)."""
    recorder = current_recorder()
    return recorder is None or recorder.settings.trust_caller


# --- its span ---------------------------------------------------------------------------------------------------------


def makes_none(request: Request) -> bool:
    """Say whether no span of ours is to be made; one that somebody around the edge has made is adopted."""
    outer: Any = current_context().get(SPAN_KEY)
    if outer is None or not outer.get_span_context().is_valid or not _is_at_an_edge(outer, request.kind):
        return not ours
    if outer.is_recording():
        request.adopt(outer)
    return True


def open_span(
    request: Request,
    carried: Mapping[str, str],
    attrs: dict[str, Any],
    describe: Callable[[ServerSpan], None] | None,
    name: str,
    form: type[ServerSpan] = ServerSpan,
) -> ServerSpan | None:
    """Begin the span of `request`, of which nobody around the edge has made one (see `makes_none`).

    `carried` is what its caller's context came in, `attrs` and `name` are what is known of it. `describe` tells the
    rest off the path, or now where the application's sampler may look at it. `form` says of which kind the span is.
    """
    if (recorder := current_recorder()) is None:
        return None
    around = current_context()
    span = form(name, around, request.started, time.time_ns() - time.perf_counter_ns(), attrs, describe)
    if describe is not None and not recorder.identities.by_id_alone:
        contain("server.describe", describe, span)
    outside = around
    if carried:
        outside, span.links = caller_of(carried, around, recorder.settings.trust_caller)
    span.begin(recorder, outside)
    request.adopt(span)
    request.own = span
    recorder.serving[id(span)] = span
    return span


def _is_at_an_edge(span: Any, kind: SpanKind) -> bool:
    """One that was not sampled has no kind; whoever made it here has decided for this request."""
    return getattr(span, "kind", kind) is kind and not span.get_span_context().is_remote


def end_span(request: Request, error: BaseException | None = None) -> None:
    """End the span of ours: its answer is out or will not come, or `error` has left the application. Once counts."""
    span, recorder = request.own, current_recorder()
    if span is None or recorder is None:
        return
    if error is not None and isinstance(error, Exception):
        span.raised(error)
    request.own = None
    _hand_over(recorder, span)


def answered(request: Request) -> None:
    """The answer is complete. One that says 500 waits for what the application raises after it."""
    span = request.own
    if span is not None and request.ended is not None and not request.left:
        span.t1 = request.ended
        if (request.status or 0) < 500:
            end_span(request)


def _hand_over(recorder: Recorder, span: ServerSpan) -> None:
    recorder.serving.pop(id(span), None)
    if not span.is_withdrawn:
        span.t1 = span.t1 or time.perf_counter_ns()
        contain("arrival", show_wait, recorder, span)
        recorder.finish(span)


def give_way(request: Request, other: Span) -> None:
    """Somebody makes a span for this request at its edge: it is the request's, and ours never was."""
    if (span := request.own) is not None:
        span.withdraw()
        request.span = None
    request.adopt(other)


class RequestSpans(SpanProcessor):
    """Puts the request's id on the span of its kind that is made below the edge, whoever makes it."""

    late_safe = True  # never reads a span before or after: late spans of ours may pass it by

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        if span.kind in _EDGES and (current := current_request.get()) is not None and span.kind is current.kind:
            contain("asgi.span", give_way, current, span)


def note_foreign(middleware: Any) -> None:
    """`middleware` is about to make a span for the current request: note whether its provider is another than ours.

    BentoML has one of its own, for instance.
    """
    request, recorder = current_request.get(), current_recorder()
    theirs = getattr(getattr(middleware, "tracer", None), "span_processor", None)
    if request is None or request.own is None or recorder is None or theirs is None:
        return
    if recorder.identities.tracer is not None and theirs is not recorder.identities.tracer.span_processor:
        request.own.has_foreign = True


def make_anothers(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what `make` returns, a span of another's first: made around the edge, and in the place of ours."""
    outside = contain("serving.outside", context_for_another)
    if outside is None:
        return make(*args, **kwargs)
    enter_context(outside)  # it makes its own the current one, and puts back what it finds here
    made = make(*args, **kwargs)
    contain("serving.another", _give_way_now, made[0])
    return made


def _give_way_now(other: Span) -> None:
    request = current_request.get()
    if request is not None and getattr(other, "kind", SpanKind.SERVER) is SpanKind.SERVER:  # not sampled: has no kind
        give_way(request, other)


def context_for_another() -> Context | None:
    """Return the context around the edge where a span of ours is the current one: who looks there makes his own."""
    request = current_request.get()
    span = request.own if request is not None else None
    return span.around if span is not None and current_context().get(SPAN_KEY) is span else None


def end_abandoned_stream(current: Request) -> None:
    """The client went away: its stream will not be stepped again, but its generator may wait long for the collector.

    Of a WebSocket nothing says that a stream is complete; one that has ended is not ended again.
    """
    synthesis, complete = current.synthesis, current.ended is not None and not current.left
    current.end(time.perf_counter_ns())
    if not complete and synthesis is not None and synthesis.attrs.get(names.STREAM):
        synthesis.finish(GeneratorExit())


# --- which requests ---------------------------------------------------------------------------------------------------


class Excluded:
    """The URLs that OTEL_PYTHON_<FRAMEWORK>_EXCLUDED_URLS keeps out of telemetry, else OTEL_PYTHON_EXCLUDED_URLS."""

    def __init__(self, framework: str) -> None:
        self._framework = framework
        self._list: Any = None

    def has(self, url_of: Callable[[Any], str], about: Any) -> bool:
        """Say whether a request's URL, which is asked for only where there is a list, is one of them."""
        if self._list is None:
            self._list = _read_excluded(self._framework)
        return bool(self._list) and self._list.url_disabled(url_of(about))


def _read_excluded(framework: str) -> Any:
    own, general = f"OTEL_PYTHON_{framework.upper()}_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"
    if not (os.environ.get(own) or os.environ.get(general)):
        return False
    from opentelemetry.util.http import get_excluded_urls

    return get_excluded_urls(framework.upper())


def first_values(headers: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes]) -> dict[str, str]:
    """Return the first value of each of the `wanted` headers, whose names ASGI has in lower case."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name in wanted:
            found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found

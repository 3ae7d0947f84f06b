# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The ASGI edge: every request of an app has an id, in its header, on its span and in `request`.

An application that makes ids of its own is offered ours first: where the client gave none, it stands in the request's
headers. What it answers with is the request's id (see `otel_tts.instrumentation.edges.answer`).

Patched into the applications' ``__call__``: outside every middleware, whenever and however the app was made. A real
``async def`` and no proxy object: uvicorn decides between ASGI 2 and 3 by asking whether ``__call__`` is a coroutine
function, and takes an app with a wrapped one for ASGI 2, which answers every request with 500.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextvars import Token
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import SpanKind

from otel_tts import marking
from otel_tts.guard import contain, note_fault
from otel_tts.instrumentation.edges import asgi_span, serving, trailer
from otel_tts.instrumentation.edges.answer import HEADER, Answer, Message, Receive, Send
from otel_tts.instrumentation.edges.arrival import arrived
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.patches import after_import, replace, undo
from otel_tts.recording import request

Scope = MutableMapping[str, Any]
Application = Callable[[Any, Scope, Receive, Send], Awaitable[None]]
Tokens = tuple[Token[request.Request | None], tuple[Context, Any] | None]
"""How to leave the request and, where there is a span of ours, its context."""

QUIET: Final = "otel_tts.quiet"
"""Scope key of requests that leave nothing; `edges/fastapi.py` keeps the framework's telemetry from them."""
MOUNTED: Final = "otel_tts.mounted"
"""Scope key of requests that a page inside another app answers."""
MARK: Final = "otel_tts.recording.request"
"""Scope key that says an outer app has done it: mounted apps are called with the same scope."""
SERVED: Final = "otel_tts.served"
"""Scope key of requests whose edge is around an application of no framework."""

_APPLICATIONS: Final = (
    ("starlette.applications", "Starlette"),
    ("fastapi.applications", "FastAPI"),
    ("litestar.app", "Litestar"),
    ("quart.app", "Quart"),
    ("django.core.handlers.asgi", "ASGIHandler"),
    ("falcon.asgi.app", "App"),
)
_ENDS: Final = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})
_EDGES: Final = (SpanKind.SERVER, SpanKind.CONSUMER)
_HEADS: Final = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})

_GROUP: Final = "asgi"

_before_end: Callable[[], object] | None = None

look_at: Callable[[Any, Scope], object] | None = None
"""Is shown each app's requests and may set QUIET and MOUNTED. Set by the instrumentation of a page server."""


class RequestSpans(SpanProcessor):
    """Puts the request's id on the span of its kind that is made below the edge, whoever makes it."""

    late_safe = True  # never reads a span before or after: late spans of ours may pass it by

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.kind in _EDGES and (current := request.current.get()) is not None and span.kind is current.kind:
            contain("asgi.span", serving.give_way, current, span)


def instrument(before_end: Callable[[], object] | None = None) -> None:
    """Give every app of these frameworks the edge, now or when it is imported. Doing it again does nothing.

    `before_end` is called, in another thread, when an app has shut down and before the server hears of it: servers end
    in ways that skip atexit.
    """
    global _before_end
    _before_end = before_end or _before_end
    for module, name in _APPLICATIONS:
        after_import(module, functools.partial(_patch_class, name), _GROUP)


def uninstrument() -> None:
    """Undo `instrument`: apps are called as before."""
    global _before_end
    _before_end = None
    undo(_GROUP)


def _patch_class(name: str, module: Any) -> None:
    cls = getattr(module, name, None)
    if isinstance(cls, type) and "__call__" in cls.__dict__:
        replace(cls, "__call__", functools.partial(with_edge, framework=module.__name__.partition(".")[0]), _GROUP)


def with_edge(original: Application, framework: str = "asgi", served: bool = False) -> Application:
    """Return `original`, an application's ``__call__``, with the edge. `served`: not of a framework that has one."""
    excluded = serving.Excluded(framework)

    @functools.wraps(original)
    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(scope.get(MARK), request.Elsewhere):
            contain("asgi.elsewhere", _arrive, scope)
        if MARK in scope:
            contain("asgi.inner", _note_inner, self, scope)
            await original(self, scope, receive, send)
            return
        token = None
        try:
            if look_at is not None:
                contain("asgi.look", look_at, self, scope)
            token, receive, send = _enter(self, excluded, scope, receive, send)
            if served:
                scope[SERVED] = True
        except Exception as error:
            note_fault("asgi", error)
        left = None
        try:
            await original(self, scope, receive, send)
        except BaseException as error:
            left = error
            raise
        finally:
            if token is not None:
                scope[MARK].answers = False  # there will be none
                contain("asgi", _leave, scope[MARK], token, left)

    return __call__


def _note_inner(app: Any, scope: Scope) -> None:
    """The first app of a framework inside of one that only its server knows is the one that has the routes."""
    current: request.Request | None = scope[MARK]
    if scope.pop(SERVED, False) and current is not None:
        current.route = functools.partial(asgi_span.route_of, app, dict(scope))


def _enter(
    app: Any, excluded: serving.Excluded, scope: Scope, receive: Receive, send: Send
) -> tuple[Tokens | None, Receive, Send]:
    kind = scope["type"]
    if kind == "lifespan":
        scope[MARK] = None
        return None, receive, _flushing(send)
    if kind not in ("http", "websocket"):
        return None, receive, send
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    given = next((value for name, value in headers if name == HEADER), None)
    arrival = arrived(scope, receive, send)
    trusts = serving.trusts_caller()
    name, is_given = request.name_of(given, trusts)
    facts = arrival.facts()
    current = request.Request(name, arrival.ns, given=is_given, facts=facts if kind == "http" else None)
    current.canary = marking.is_marked(headers)
    if given is None or not trusts:
        others = [header for header in headers if header[0] != HEADER]
        scope["headers"] = [*others, (HEADER, name.encode())]
    scope[MARK] = current
    inside = contain("asgi.server", _begin_span, app, excluded, scope, current)
    if current.own is not None and facts:
        current.own.attrs.update(facts)
    heads = _HEADS if kind == "http" or _may_accept_with_headers(scope) else _HEADS - {"websocket.accept"}
    current.session, current.answers = kind == "websocket", kind == "http"
    answer = Answer(current, receive, send, heads)
    reply = answer.send
    if kind == "http" and contain("trailer", trailer.is_asked_for, scope):
        reply = trailer.Trailer(current, reply).send
    outer = (inside, enter_context(inside)) if inside is not None else None
    # Of a WebSocket nothing that comes in is looked at.
    return (request.current.set(current), outer), answer.receive if kind == "http" else receive, reply


def _begin_span(app: Any, excluded: serving.Excluded, scope: Scope, current: request.Request) -> Context | None:
    """Begin the SERVER span and return the context inside of it, where there is one of ours."""
    if scope.get(QUIET) or (excluded.has(functools.partial(asgi_span.url_of, scope))):
        return None
    span = asgi_span.begin(app, scope, current)
    if span is None:
        return None
    scope.setdefault("fastapi.telemetry", None)  # FastAPI's own stands down where somebody has set it
    return span.inside


def _arrive(scope: Scope) -> None:
    """The request has passed an edge in another process, whose span its caller's is now."""
    came: request.Elsewhere = scope.pop(MARK)
    if came.traceparent is not None:
        others = [(name, value) for name, value in scope["headers"] if name != b"traceparent"]
        scope["headers"] = [*others, (b"traceparent", came.traceparent.encode())]


def _leave(current: request.Request, tokens: Tokens, error: BaseException | None) -> None:
    token, outer = tokens
    if outer is not None:
        leave_context(*outer)
    request.leave(token)
    contain("asgi.abandon", serving.end_abandoned_stream, current)
    contain("asgi.server", serving.end_span, current, error)


def _may_accept_with_headers(scope: Scope) -> bool:
    """ASGI's websocket.accept has headers since version 2.1 of its specification."""
    return str(scope.get("asgi", {}).get("spec_version", "2.0")) >= "2.1"


def _flushing(send: Send) -> Send:
    async def flush_then_send(message: Message) -> None:
        if message["type"] in _ENDS:
            await flush()
        await send(message)

    return flush_then_send


async def flush() -> None:
    """Call, in another thread, what `instrument` was given for the end."""
    if (call := _before_end) is not None:
        try:
            await _in_thread(call)
        except Exception as error:
            note_fault("asgi.lifespan", error)


async def _in_thread(call: Callable[[], object]) -> None:
    try:
        from anyio.to_thread import run_sync  # where it is there, as with Starlette, the loop may be another's
    except ImportError:
        await asyncio.to_thread(contain, "asgi.flush", call)
    else:
        await run_sync(contain, "asgi.flush", call, abandon_on_cancel=True)

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
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Token
from typing import Any, Final

from opentelemetry.context import Context

from otel_tts import marking
from otel_tts.guard import contain, note_fault
from otel_tts.instrumentation.edges import asgi_scope, asgi_span, ending, serving, trailer
from otel_tts.instrumentation.edges.answer import HEADER, Answer, Message, Receive, Send
from otel_tts.instrumentation.edges.arrival import arrived
from otel_tts.instrumentation.edges.asgi_scope import MARK, QUIET, SERVED, Scope
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.patches import replace
from otel_tts.recording import request

Application = Callable[[Any, Scope, Receive, Send], Awaitable[None]]
Tokens = tuple[Token[request.Request | None], tuple[Context, Any] | None]
"""How to leave the request and, where there is a span of ours, its context."""

_APPLICATIONS: Final = ("Starlette", "FastAPI", "Litestar", "Quart", "ASGIHandler", "App")
_ENDS: Final = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})
_HEADS: Final = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})

_GROUP: Final = "asgi"


def patch(module: Any) -> None:
    """Give the class of applications that `module` has the edge."""
    for name in _APPLICATIONS:
        cls = getattr(module, name, None)
        if isinstance(cls, type) and "__call__" in cls.__dict__:
            replace(cls, "__call__", functools.partial(with_edge, framework=cls.__module__.partition(".")[0]), _GROUP)


def with_edge(original: Application, framework: str = "asgi", served: bool = False) -> Application:
    """Return `original`, an application's ``__call__``, with the edge. `served`: not of a framework that has one."""
    excluded = serving.Excluded(framework)

    @functools.wraps(original)
    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if MARK in scope and isinstance(scope[MARK], request.Elsewhere):
            contain("asgi.elsewhere", _arrive, scope)
        if MARK in scope:
            contain("asgi.inner", _note_inner, self, scope)
            await original(self, scope, receive, send)
            return
        token = None
        try:
            if asgi_scope.look_at is not None:
                contain("asgi.look", asgi_scope.look_at, self, scope)
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
    given = None
    for header in headers:
        if header[0] == HEADER:
            given = header[1]
            break
    arrival = arrived(scope, receive, send)
    trusts = serving.trusts_caller()
    name, is_given = request.name_of(given, trusts)
    facts = arrival.facts()
    current = request.Request(name, arrival.ns, given=is_given, facts=facts if kind == "http" else None)
    current.canary = marking.is_marked(headers)
    if given is None or not trusts:
        others = headers if given is None else [header for header in headers if header[0] != HEADER]
        scope["headers"] = [*others, (HEADER, name.encode())]
    scope[MARK] = current
    inside = contain("asgi.server", _begin_span, app, excluded, scope, current)
    if current.own is not None and facts:
        current.own.attrs.update(facts)
    heads = _HEADS if kind == "http" or _may_accept_with_headers(scope) else _HEADS - {"websocket.accept"}
    current.session, current.answers = kind == "websocket", kind == "http"
    answer = Answer(current, receive, send, heads)
    reply = answer.send
    if kind == "http":
        reply = contain("trailer", trailer.put_before, reply, scope, current) or reply
    outer = (inside, enter_context(inside)) if inside is not None else None
    # Of a WebSocket nothing that comes in is looked at.
    return (request.current.set(current), outer), answer.receive if kind == "http" else receive, reply


def _begin_span(app: Any, excluded: serving.Excluded, scope: Scope, current: request.Request) -> Context | None:
    """Begin the SERVER span and return the context inside of it, where there is one of ours."""
    if scope.get(QUIET):
        return None
    is_excluded = excluded.has(asgi_span.url_of, scope)
    span = None if is_excluded else asgi_span.begin(app, scope, current)
    if span is not None or is_excluded:
        scope.setdefault("fastapi.telemetry", None)  # FastAPI's own stands down where somebody has set it
    return None if span is None else span.inside


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
    if isinstance(error, asyncio.CancelledError):  # Ray Serve says so that the client has left
        current.end(time.perf_counter_ns(), left=True)
    if current.ended is None or current.left:
        contain("asgi.abandon", serving.end_abandoned_stream, current)
    if current.own is not None:
        contain("asgi.server", serving.end_span, current, error)


def _may_accept_with_headers(scope: Scope) -> bool:
    """ASGI's websocket.accept has headers since version 2.1 of its specification."""
    return str(scope.get("asgi", {}).get("spec_version", "2.0")) >= "2.1"


def _flushing(send: Send) -> Send:
    async def flush_then_send(message: Message) -> None:
        if message["type"] in _ENDS:
            await ending.flush()
        await send(message)

    return flush_then_send

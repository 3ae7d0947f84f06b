# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One request and its answer at an edge whose server shows the answer in steps: its head, its pieces, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Token
from functools import partial
from time import perf_counter_ns
from typing import Any, Final

from opentelemetry.context import Context

from otel_tts import marking
from otel_tts.guard import contain
from otel_tts.instrumentation.edges import answer_audio, asgi_span, serving
from otel_tts.instrumentation.edges.arrival import arrived_on
from otel_tts.instrumentation.edges.peer import has_left
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.recording import request as requests
from otel_tts.recording.request import Request, is_acceptable

HEADER: Final = "X-Request-ID"
_BODILESS: Final = frozenset({204, 304})


class Exchange:
    """Notes what passes; what may fail in it is the caller's to contain."""

    __slots__ = ("_bodiless", "_connection", "_inside", "_left", "_tokens", "request", "started")

    def __init__(self, request: Request, inside: Context, method: str, connection: Any = None) -> None:
        self.request, self._inside = request, inside
        self._left: int | None = None
        """Bytes of the body that are still to come, where it was announced."""
        self._bodiless = method == "HEAD"
        self._connection = connection
        self._tokens: tuple[Any, Token[Request | None]] | None = None
        self.started = False
        """Its head has passed."""

    # --- whose context the application runs in ------------------------------------------------------------------------

    def enter(self) -> None:
        """Let what follows on this thread or task work for the request."""
        self._tokens = enter_context(self._inside), requests.current.set(self.request)

    def leave(self) -> None:
        """Undo `enter`."""
        if self._tokens is None:
            return
        (outside, web), self._tokens = self._tokens, None
        leave_context(self._inside, outside)
        requests.leave(web)

    # --- the answer ---------------------------------------------------------------------------------------------------

    def note_head(self, status: int, said: Mapping[str, str]) -> str | None:
        """The answer begins; `said` are its headers by lower-case names. Return the id that it lacks, if it does."""
        request, find = self.request, said.get
        self.started, request.status = True, status
        length = find("content-length", "")
        self._left = request.length = int(length) if length.isdigit() else None
        self._bodiless = self._bodiless or status in _BODILESS
        answer_audio.expect(request, status, find("content-type", ""), find("content-encoding", ""), length)
        if (given := find("x-request-id")) is None:
            return request.id
        if is_acceptable(given):
            request.rename(given)
        return None

    def pass_piece(self, piece: bytes) -> None:
        """A piece of the body is about to be handed to the server."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if has_left(connection):
                self.lose()
        if self._left is not None:
            self._left -= len(piece)
        if self.request.body is not None:
            answer_audio.add(self.request, piece)

    def lose(self) -> None:
        """The client has gone."""
        self.request.end(perf_counter_ns(), left=True)

    def exhaust(self) -> None:
        """The server has taken the last piece."""
        if self.request.body is not None:
            answer_audio.finish(self.request)
        self.request.end(perf_counter_ns())
        serving.answered(self.request)

    def note_error(self, error: BaseException) -> None:
        """The application has failed, or its connection; what it or the server makes of that is still to come."""
        if isinstance(error, ConnectionError):
            self.lose()
        elif self.request.own is not None:
            self.request.own.raised(error)

    def fail(self, error: BaseException) -> None:
        """`error` has left the application. One that takes the connection over for a WebSocket ends its call by one."""
        request = self.request
        request.answers = False
        serving.end_span(request, None if request.session and request.status is None else error)

    def break_off(self, error: BaseException) -> None:
        """`error` has left the server's own call for this request: the connection has gone, or the app failed."""
        self.leave()
        if isinstance(error, (asyncio.CancelledError, ConnectionError)):
            self.lose()
            self.end()
        else:
            self.fail(error)

    def complete(self) -> None:
        """The server's own call for this request has returned."""
        self.leave()
        self.exhaust()
        self.end()

    def end(self) -> None:
        """Nothing more is asked of the body: before its end the client has gone, where there was to be one."""
        request = self.request
        if request.ended is None:
            is_whole = self._bodiless or (self._left is not None and self._left <= 0)
            request.end(perf_counter_ns(), left=not is_whole and not request.session)
        request.answers = False
        if request.left:
            serving.end_abandoned_stream(request)
        if request.own is not None:
            serving.end_span(request)


def greet(
    given: str | None,
    started: str | None = None,
    upgrade: str | None = None,
    mark: str | None = None,
    connection: Any = None,
    came_on: Any = None,
) -> Request:
    """Return a new request: of what its headers x-request-id, x-request-start, upgrade and that of a watcher's probe
    say, and of its `connection`, the socket, where that is known.

    `came_on` is its socket where a loop reads from it: it tells when the request came, and is asked for nothing else.
    """
    arrival = arrived_on(connection if came_on is None else came_on, started)
    name, is_given = requests.name_of(given, serving.trusts_caller())
    request = Request(name, arrival.ns, given=is_given)
    request.session = upgrade is not None and upgrade.lower() == "websocket"
    request.answers = not request.session
    if arrival.wait_s is not None and request.answers:
        request.facts = arrival.facts()
    if mark is not None:
        request.canary = marking.is_marked([(marking.HEADER.encode(), mark.encode("latin-1"))])
    if connection is not None:
        request.is_gone = partial(has_left, connection)
    return request


def show_facts(request: Request) -> None:
    """Put what only the edge knows on the span of ours."""
    if request.own is not None and request.facts:
        request.own.attrs.update(request.facts)


def begin(
    excluded: serving.Excluded,
    find: Callable[[str], str | None],
    method: str,
    scheme: str,
    ask: Callable[[], Any],
    connection: Any = None,
    came_on: Any = None,
) -> Exchange:
    """Begin an exchange: `find` returns a header of the request, `ask` the request as a scope of ASGI, off the path."""
    said = (find("x-request-id"), find("x-request-start"), find("upgrade"), find(marking.HEADER))
    request = greet(*said, connection, came_on)
    inside = contain("exchange.server", _begin_span, excluded, find, method, scheme, ask, request)
    show_facts(request)
    return Exchange(request, current_context() if inside is None else inside, method, connection)


def _begin_span(
    excluded: serving.Excluded,
    find: Callable[[str], str | None],
    method: str,
    scheme: str,
    ask: Callable[[], Any],
    request: Request,
) -> Context | None:
    if serving.makes_none(request) or excluded.has(lambda asked: asgi_span.url_of(asked()), ask):
        return None
    carried = {field: value for field in serving.propagation_fields() if (value := find(field)) is not None}
    span = asgi_span.begin_plain(request, carried, scheme, method, ask)
    return span.inside if span is not None else None


def as_scope(
    find: Callable[[str], str | None],
    *,
    method: str,
    scheme: str,
    path: str,
    query: str = "",
    version: str = "",
    server: Any = None,
    client: Any = None,
) -> dict[str, Any]:
    """Return what a server knows of a request as ASGI writes it."""
    found = ((name, find(name)) for name in ("host", "user-agent", "content-length"))
    return {
        "type": "http", "method": method, "scheme": scheme, "path": path, "query_string": query.encode("latin-1"),
        "http_version": version, "server": server, "client": client,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in found if value],
    }  # fmt: skip

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The edge of aiohttp's server: around the handler and the sending of its answer, one task for each request."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import exchange, serving
from otel_tts.instrumentation.edges.arrival import socket_of
from otel_tts.instrumentation.edges.exchange import HEADER, Exchange
from otel_tts.patches import replace_in
from otel_tts.recording.delivered import note_file

_GROUP: Final = "aiohttp"
_exchange: Final[ContextVar[Exchange | None]] = ContextVar("otel_tts_aiohttp_exchange", default=None)
"""Of the request that the current task works for: a request of aiohttp warns where something is kept in it by name."""
_excluded: Final = serving.Excluded("aiohttp_server")


def patch(module: Any) -> None:
    """Give aiohttp's server the edge."""
    replace_in(module, _PATCHES, _GROUP)


def _with_edge(original: Any) -> Any:
    @functools.wraps(original)
    async def _handle_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        current = contain("aiohttp", _enter, request)
        token = _exchange.set(current)
        try:
            result = await original(self, request, *args, **kwargs)
        except BaseException as error:
            if current is not None:
                contain("aiohttp", current.break_off, error)
            raise
        finally:
            _exchange.reset(token)
        if current is not None:
            contain("aiohttp", _leave, current, result)
        return result

    return _handle_request


def _enter(request: Any) -> Exchange:
    find = request.headers.get
    ask = functools.partial(_as_scope, request)
    came_on = contain("aiohttp", socket_of, request.transport)
    current = exchange.begin(_excluded, find, request.method, request.scheme, ask, came_on=came_on)
    current.enter()
    return current


def _as_scope(request: Any) -> dict[str, Any]:
    version = request.version
    return exchange.as_scope(
        request.headers.get, method=request.method, scheme=request.scheme, path=request.rel_url.raw_path,
        query=request.rel_url.raw_query_string, version=f"{version.major}.{version.minor}",
        client=(request.remote, None) if request.remote else None,
    )  # fmt: skip


def _leave(current: Exchange, result: Any) -> None:
    """The server says whether the connection was lost while the answer was sent."""
    if isinstance(result, tuple) and result[-1] is True:
        current.lose()
    current.complete()


def _noting_errors(original: Any) -> Any:
    @functools.wraps(original)
    def handle_error(self: Any, request: Any, status: int = 500, exc: Any = None, *args: Any, **kwargs: Any) -> Any:
        contain("aiohttp.error", _note_error, exc)
        return original(self, request, status, exc, *args, **kwargs)

    return handle_error


def _note_error(error: BaseException | None) -> None:
    if error is not None and (current := _exchange.get()) is not None:
        current.note_error(error)


# --- the answer -------------------------------------------------------------------------------------------------------


def _with_head(original: Any) -> Any:
    @functools.wraps(original)
    async def prepare(self: Any, request: Any) -> Any:
        contain("aiohttp.head", _note_head, self, request)
        return await original(self, request)

    return prepare


def _note_head(response: Any, request: Any) -> None:
    current = _exchange.get()
    if current is None or response.prepared or current.started:
        return
    said = {name.lower(): value for name, value in response.headers.items()}
    body = getattr(response, "body", None)
    if isinstance(body, bytes):
        said["content-length"] = str(len(body))
    said.setdefault("content-type", response.content_type)
    current.request.route = _route_of(request)
    if (lacking := current.note_head(response.status, said)) is not None:
        response.headers[HEADER] = lacking
    if request.transport is None or request.transport.is_closing():
        current.lose()
    if isinstance(body, bytes):
        current.pass_piece(body)
    elif (path := getattr(response, "_path", None)) is not None and current.request.body is not None:
        current.request.body = None if note_file(current.request, path, returned=True) else current.request.body


def _route_of(request: Any) -> str:
    resource = getattr(getattr(request.match_info, "route", None), "resource", None)
    return getattr(resource, "canonical", "")


def _with_piece(original: Any) -> Any:
    @functools.wraps(original)
    async def write(self: Any, data: Any) -> None:
        contain("aiohttp.piece", _note_piece, data)
        await original(self, data)

    return write


def _note_piece(data: bytes) -> None:
    if (current := _exchange.get()) is not None:
        current.pass_piece(data)


_PATCHES: Final = (
    ("RequestHandler", "_handle_request", _with_edge),
    ("RequestHandler", "handle_error", _noting_errors),
    ("StreamResponse", "prepare", _with_head),
    ("StreamResponse", "write", _with_piece),
)

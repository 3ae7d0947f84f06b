# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The edge of Sanic's own server: around a connection's request handler, and where an answer is sent.

Sanic compiles some of its methods anew from their source when it starts, so those are left as they are. Under an ASGI
server Sanic is an application of ASGI, whose edge it has then.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import exchange, serving
from otel_tts.instrumentation.edges.arrival import socket_of
from otel_tts.instrumentation.edges.exchange import HEADER, Exchange
from otel_tts.patches import replace_in

_GROUP: Final = "sanic"
_MARK: Final = "_otel_tts_exchange"
_excluded: Final = serving.Excluded("sanic")


def patch(module: Any) -> None:
    """Give Sanic's server the edge; connections that are open have none."""
    replace_in(module, _PATCHES, _GROUP)


def _with_handler(original: Any) -> Any:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.request_handler = _with_edge(self.request_handler)

    return __init__


def _with_edge(original: Any) -> Any:
    async def handle_request(request: Any) -> None:
        current = contain("sanic", _enter, request)
        try:
            await original(request)
        except BaseException as error:
            if current is not None:
                contain("sanic", current.break_off, error)
            raise
        if current is not None:
            contain("sanic", current.complete)

    return handle_request


def _enter(request: Any) -> Exchange:
    ask = functools.partial(_as_scope, request)
    came_on = contain("sanic", socket_of, request.transport)
    current = exchange.begin(_excluded, request.headers.get, request.method, request.scheme, ask, came_on=came_on)
    setattr(request.ctx, _MARK, current)
    current.enter()
    return current


def _as_scope(request: Any) -> dict[str, Any]:
    return exchange.as_scope(
        request.headers.get, method=request.method, scheme=request.scheme, path=request.path,
        query=request.query_string, version=str(request.version), client=(request.ip, request.port),
    )  # fmt: skip


def _noting_errors(original: Any) -> Any:
    @functools.wraps(original)
    def response(self: Any, request: Any, exception: BaseException, *args: Any, **kwargs: Any) -> Any:
        contain("sanic.error", _note_error, request, exception)
        return original(self, request, exception, *args, **kwargs)

    return response


def _note_error(request: Any, error: BaseException) -> None:
    current: Exchange | None = getattr(getattr(request, "ctx", None), _MARK, None)
    if current is not None and getattr(error, "status_code", 500) >= 500:
        current.note_error(error)


# --- the answer -------------------------------------------------------------------------------------------------------


def _with_send(original: Any) -> Any:
    @functools.wraps(original)
    async def send(self: Any, data: Any = None, *args: Any, **kwargs: Any) -> None:
        contain("sanic.send", _note_send, self, data)
        await original(self, data, *args, **kwargs)

    return send


def _note_send(response: Any, data: Any) -> None:
    asked = getattr(response.stream, "request", None)
    current: Exchange | None = getattr(getattr(asked, "ctx", None), _MARK, None)
    if current is None:
        return
    body = data or (None if current.started else getattr(response, "body", None))
    if not current.started:
        said = {name.lower(): str(value) for name, value in response.headers.items()}
        said.setdefault("content-type", response.content_type or "")
        if (lacking := current.note_head(response.status, said)) is not None:
            response.headers[HEADER] = lacking
    if body:
        current.pass_piece(body.encode() if isinstance(body, str) else body)


_PATCHES: Final = (
    ("HttpProtocol", "__init__", _with_handler),
    ("BaseHTTPResponse", "send", _with_send),
    ("ErrorHandler", "response", _noting_errors),
)

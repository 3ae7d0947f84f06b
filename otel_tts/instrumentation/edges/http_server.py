# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The edge of the standard library's `http.server`: around each request that a handler's connection brings.

What serves WSGI by way of it, as werkzeug and wsgiref do, is left to the edge of the application.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import exchange, serving
from otel_tts.instrumentation.edges.exchange import HEADER, Exchange
from otel_tts.otel_private.context import current_context, enter_context, restore_context
from otel_tts.patches import replace_in
from otel_tts.recording.request import current

_GROUP: Final = "http_server"
_MARK: Final = "_otel_tts_exchange"
_WSGI: Final = ("run_wsgi", "get_environ", "make_environ")
_excluded: Final = serving.Excluded("http_server")


def patch(module: Any) -> None:
    """Give its handlers the edge."""
    replace_in(module, _PATCHES, _GROUP)


def _with_edge(original: Any) -> Any:
    @functools.wraps(original)
    def handle_one_request(self: Any) -> None:
        contain("http_server", _expect, self)
        outside, web = enter_context(current_context()), current.set(current.get())
        try:
            original(self)
        except BaseException as error:
            contain("http_server", _break_off, self, error)
            raise
        else:
            contain("http_server", _leave, self)
        finally:  # what `parse_request` has made current
            current.reset(web)
            restore_context(outside)

    return handle_one_request


def _expect(handler: Any) -> None:
    """A connection is waited on: what comes has an edge, unless an application of WSGI stands behind it."""
    if not any(hasattr(handler, name) for name in _WSGI):
        setattr(handler, _MARK, None)


def _with_begin(original: Any) -> Any:
    @functools.wraps(original)
    def parse_request(self: Any) -> bool:
        is_one = original(self)
        if is_one and hasattr(self, _MARK):
            contain("http_server", _enter, self)
        return is_one

    return parse_request


def _enter(handler: Any) -> None:
    ask = functools.partial(_as_scope, handler.headers, handler.command, handler.path, handler.request_version)
    begun = exchange.begin(_excluded, handler.headers.get, handler.command, "http", ask, handler.connection)
    setattr(handler, _MARK, begun)
    begun.enter()


def _as_scope(headers: Any, method: str, target: str, version: str) -> dict[str, Any]:
    path, _, query = target.partition("?")
    number = version.partition("/")[2]
    return exchange.as_scope(headers.get, method=method, scheme="http", path=path, query=query, version=number)


def _break_off(handler: Any, error: BaseException) -> None:
    if (begun := _take(handler)) is not None:
        begun.break_off(error)


def _leave(handler: Any) -> None:
    if (begun := _take(handler)) is not None:
        begun.complete()


def _take(handler: Any) -> Exchange | None:
    begun = _find(handler)
    if hasattr(handler, _MARK):
        delattr(handler, _MARK)
    return begun


def _find(handler: Any) -> Exchange | None:
    return getattr(handler, _MARK, None)


# --- the answer -------------------------------------------------------------------------------------------------------


def _with_status(original: Any) -> Any:
    @functools.wraps(original)
    def send_response_only(self: Any, code: Any, *args: Any, **kwargs: Any) -> None:
        contain("http_server.status", _note_status, self, code)
        original(self, code, *args, **kwargs)

    return send_response_only


def _note_status(handler: Any, code: Any) -> None:
    if (begun := _find(handler)) is not None:
        begun.request.status = int(code)


def _with_head(original: Any) -> Any:
    @functools.wraps(original)
    def end_headers(self: Any) -> None:
        contain("http_server.head", _note_head, self)
        original(self)

    return end_headers


def _note_head(handler: Any) -> None:
    """The head of an answer; one below 200 is none yet."""
    begun = _find(handler)
    if begun is None or begun.started or (begun.request.status or 200) < 200:
        return
    lines = [line.decode("latin-1").partition(":") for line in getattr(handler, "_headers_buffer", ())]
    lacking = begun.note_head(begun.request.status or 200, {name.lower(): text.strip() for name, _, text in lines})
    begun.request.body = None  # what is written goes to the connection by itself
    if lacking is not None:
        handler.send_header(HEADER, lacking)
    begun.pass_piece(b"")


_PATCHES: Final = (
    ("BaseHTTPRequestHandler", "handle_one_request", _with_edge),
    ("BaseHTTPRequestHandler", "parse_request", _with_begin),
    ("BaseHTTPRequestHandler", "send_response_only", _with_status),
    ("BaseHTTPRequestHandler", "end_headers", _with_head),
)

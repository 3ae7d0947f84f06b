# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of a WSGI request on its SERVER span: its environ as a scope of ASGI, so that all edges tell alike."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from otel_tts.instrumentation.edges import asgi_span, serving
from otel_tts.instrumentation.edges.exchange import as_scope
from otel_tts.recording.request import Request
from otel_tts.recording.server import ServerSpan

_ASKED: Final = (
    "REQUEST_METHOD", "wsgi.url_scheme", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "SERVER_NAME",
    "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST", "HTTP_USER_AGENT", "CONTENT_LENGTH",
)  # fmt: skip
"""What is told. All else stays where it is: an environ has the connection in it, and who sent what."""

_keys: tuple[tuple[str, ...], tuple[tuple[str, str], ...]] = ((), ())


def begin(environ: Mapping[str, Any], request: Request) -> ServerSpan | None:
    """Begin the span of a request."""
    if serving.makes_none(request):
        return None
    find = environ.get
    carried = {name: value for name, key in _propagation_keys() if (value := find(key)) is not None}
    ask = functools.partial(_as_scope, tuple(map(find, _ASKED)))
    return asgi_span.begin_plain(request, carried, find("wsgi.url_scheme", "http"), find("REQUEST_METHOD", ""), ask)


def _propagation_keys() -> tuple[tuple[str, str], ...]:
    """Return the names of the headers that a caller's context may come in, and their keys in an environ."""
    global _keys
    fields = serving.propagation_fields()
    if fields is not _keys[0]:
        _keys = (fields, tuple((field, "HTTP_" + field.upper().replace("-", "_")) for field in fields))
    return _keys[1]


def _as_scope(asked: tuple[Any, ...]) -> dict[str, Any]:
    said = ("" if each is None else str(each) for each in asked)
    method, scheme, mount, path, query, protocol, name, port, client, client_port, host, agent, length = said
    headers = {"host": host, "user-agent": agent, "content-length": length}
    return as_scope(
        headers.get, method=method, scheme=scheme or "http", path=mount + path, query=query,
        version=protocol.partition("/")[2], server=(name, _number(port)),
        client=(client, _number(client_port)) if client else None,
    )  # fmt: skip


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None

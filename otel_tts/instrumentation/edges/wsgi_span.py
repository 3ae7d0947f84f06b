# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of a WSGI request on its SERVER span: its environ as a scope of ASGI, so that all edges tell alike."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from otel_tts import marking
from otel_tts.instrumentation.edges import asgi_span, serving
from otel_tts.recording.request import Request
from otel_tts.recording.server import ServerSpan

_HEADERS: Final = {"HTTP_HOST": b"host", "HTTP_USER_AGENT": b"user-agent", "CONTENT_LENGTH": b"content-length"}

_KEYS: Final = {
    name: "HTTP_" + name.upper().replace("-", "_")
    for name in ("x-request-id", "x-request-start", "upgrade", marking.HEADER)
}

_keys: tuple[frozenset[bytes], dict[str, str]] = (frozenset(), {})


def find_header(environ: Mapping[str, Any], name: str) -> str | None:
    """Return one of the headers that an edge looks for."""
    return environ.get(_KEYS[name])


def begin(environ: Mapping[str, Any], request: Request) -> ServerSpan | None:
    """Begin the span of a request."""
    if serving.makes_none(request):
        return None
    carried = {name: environ[key] for name, key in _propagation_keys().items() if key in environ}
    asked = dict(environ)
    return asgi_span.begin_plain(
        request,
        carried,
        environ.get("wsgi.url_scheme", "http"),
        environ.get("REQUEST_METHOD", ""),
        functools.partial(_as_scope, asked),
    )


def _propagation_keys() -> dict[str, str]:
    """Return the names of the headers that a caller's context may come in, and their keys in an environ."""
    global _keys
    fields = serving.propagation_headers()
    if fields is not _keys[0]:
        texts = [field.decode("latin-1") for field in fields]
        _keys = (fields, {text: "HTTP_" + text.upper().replace("-", "_") for text in texts})
    return _keys[1]


def _as_scope(environ: Mapping[str, Any]) -> dict[str, Any]:
    protocol = environ.get("SERVER_PROTOCOL", "")
    return {
        "type": "http",
        "method": environ.get("REQUEST_METHOD", ""),
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "http_version": protocol.partition("/")[2],
        "server": (environ.get("SERVER_NAME", ""), _number(environ.get("SERVER_PORT", ""))),
        "client": (environ["REMOTE_ADDR"], _number(environ.get("REMOTE_PORT", "")))
        if "REMOTE_ADDR" in environ
        else None,
        "headers": [(name, environ[key].encode("latin-1")) for key, name in _HEADERS.items() if environ.get(key)],
    }


def _number(text: Any) -> int | None:
    return int(text) if str(text).isdigit() else None

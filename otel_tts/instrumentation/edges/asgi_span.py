# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of an ASGI request on its SERVER span, off the path: attributes as OpenTelemetry's middleware has them.

An application's routes are asked with the request as it came in: routers change the scope on their way down.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from importlib import import_module
from typing import Any, Final

from otel_tts import names
from otel_tts.instrumentation.edges import serving
from otel_tts.recording.request import Request
from otel_tts.recording.server import ServerSpan

Scope = MutableMapping[str, Any]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_LENGTH: Final = b"content-length"


def begin(app: Any, scope: Scope, request: Request) -> ServerSpan | None:
    """Begin the span of a request of `app`."""
    if serving.makes_none(request):
        return None
    carried = serving.first_values(scope["headers"], serving.propagation_headers())
    attrs: dict[str, Any] = {names.URL_SCHEME: scope.get("scheme", "http")}
    name = method = scope.get("method", "")  # a WebSocket has none
    if method in METHODS:
        attrs[names.HTTP_METHOD] = method
    else:
        name = "HTTP"
        if method:
            attrs[names.HTTP_METHOD] = known_method(method)
    tell = functools.partial(_describe, app, scope, dict(scope), request)
    return serving.open_span(request, carried, attrs, tell, name)


def _describe(app: Any, scope: Scope, asked: Scope, request: Request, span: ServerSpan) -> None:
    describe(lambda: asked, functools.partial(_find_route, app, scope), request, span)


def begin_plain(
    request: Request, carried: Mapping[str, str], scheme: str, method: str, ask: Callable[[], Scope]
) -> ServerSpan | None:
    """Begin the span of a request of another kind of server: `ask` describes it as ASGI does, off the path."""
    attrs: dict[str, Any] = {names.URL_SCHEME: scheme, names.HTTP_METHOD: known_method(method)}
    tell = functools.partial(describe, ask, None, request)
    return serving.open_span(request, carried, attrs, tell, method if method in METHODS else "HTTP")


def known_method(method: str) -> str:
    """Return `method` as the conventions write it."""
    upper = method.upper()
    return upper if upper in METHODS else "_OTHER"


def url_of(scope: Scope) -> str:
    """Return the URL that lists of excluded ones are held against."""
    contrib: Any = import_module("opentelemetry.instrumentation.asgi")
    return contrib.get_host_port_url_tuple(scope)[2]


def describe(
    ask: Callable[[], Scope], find_route: Callable[[Scope], str] | None, request: Request, span: ServerSpan
) -> None:
    """Put on `span` what its request says of itself, and the route that took it: the framework's word goes first."""
    asked = ask()
    span.attrs = {**_collect(asked), **span.attrs}
    span.received = _announced(asked["headers"])
    span.status_code, span.sent = request.status, request.length
    method = span.attrs.get(names.HTTP_METHOD, "")
    if route := _route_as_said(request) or (find_route(asked) if find_route is not None else ""):
        span.attrs[names.HTTP_ROUTE] = route
        word = "HTTP" if method == "_OTHER" else method
        span.name = f"{word} {route}" if word else route


def _route_as_said(request: Request) -> str:
    return request.route if isinstance(request.route, str) else request.route()


def _collect(scope: Scope) -> dict[str, Any]:
    contrib: Any = import_module("opentelemetry.instrumentation.asgi")  # with the first request: it takes a while
    return contrib.collect_request_attributes(scope, contrib._StabilityMode.HTTP)


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    said = next((value for name, value in headers if name == _LENGTH), b"")
    return int(said) if said.isdigit() else None


# --- routes -----------------------------------------------------------------------------------------------------------


def _find_route(app: Any, scope: Scope, asked: Scope) -> str:
    """Litestar writes it into the scope itself; its routes are of another kind."""
    return scope["path_template"] if "path_template" in scope else route_of(app, asked)


def route_of(app: Any, scope: Mapping[str, Any]) -> str:
    """Return the template of the route that takes the request, through mounted applications; empty where none does."""
    partial = ""
    for route in _flatten(getattr(app, "routes", None) or ()):
        if not hasattr(route, "matches"):  # not Starlette's
            continue
        match, child = route.matches(scope)
        if match.name == "FULL":
            return _template(route, {**scope, **child})
        if match.name == "PARTIAL" and not partial:
            partial = str(getattr(route, "path", ""))
    return partial


def _template(route: Any, inside: Mapping[str, Any]) -> str:
    path, inner = str(getattr(route, "path", "") or ""), getattr(route, "app", None)
    if getattr(inner, "routes", None):
        return path + route_of(inner, inside)
    return path


def _flatten(routes: Iterable[Any]) -> Iterable[Any]:
    """FastAPI keeps the routes of an included router in one of its own, since 0.137."""
    flatten = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    return flatten(routes) if flatten is not None else routes

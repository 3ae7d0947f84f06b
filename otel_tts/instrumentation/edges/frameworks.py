# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What only a framework knows of the request at its edge: its route's template, and the error behind a page of 500.

Noted where the framework itself comes to know it, so that applications inside of applications are told as they are.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.patches import wrap
from otel_tts.recording import request

_GROUP: Final = "frameworks"


def patch(module: Any) -> None:
    """Watch what of a framework is in `module`."""
    for where, owner, name, path in _ROUTES:
        if where == module.__name__:
            _watch(owner, name, path, module)
    for where, owner, name, place in _HANDLERS:
        if where == module.__name__:
            _watch_handler(owner, name, place, module)
    if hasattr(module, "got_request_exception"):
        module.got_request_exception.connect(_note_error)  # of a module, so that a weak reference to it holds


# --- routes -----------------------------------------------------------------------------------------------------------

_ROUTES: Final = (
    ("flask.ctx", "RequestContext", "match_request", "self.request.url_rule.rule"),
    ("flask.ctx", "AppContext", "match_request", "self.request.url_rule.rule"),
    ("quart.ctx", "_BaseRequestWebsocketContext", "match_request", "self.request_websocket.url_rule.rule"),
    ("django.core.handlers.base", "BaseHandler", "resolve_request", "result.route"),
    ("bottle", "Router", "match", "result.0.rule"),
    ("falcon.app", "App", "_get_responder", "result.3"),
    ("sanic.router", "Router", "get", "result.0.path"),
    ("pyramid.router", "Router", "handle_request", "first.matched_route.pattern"),
)
"""Module, class, what it calls to find the route, and where the template stands then: from the instance, from what is
returned, or from the first argument."""


def _watch(owner: str, name: str, path: str, module: Any) -> None:
    cls = getattr(module, owner, None)
    if cls is not None and name in vars(cls):
        wrap(cls, name, functools.partial(_noting, path.split(".")), _GROUP)


def _noting(path: list[str], wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    contain("frameworks.route", _note_route, path, instance, result, args)
    return result


def _note_route(path: list[str], instance: Any, result: Any, args: tuple[Any, ...]) -> None:
    if (current := request.current.get()) is None:
        return
    found: Any = {"self": instance, "result": result, "first": args[0] if args else None}[path[0]]
    for step in path[1:]:
        if found is None:
            return
        found = found[int(step)] if step.isdigit() else getattr(found, step, None)
    if found:
        current.route = found if found[0] == "/" else f"/{found}"


# --- errors -----------------------------------------------------------------------------------------------------------

_HANDLERS: Final = (
    ("falcon.app", "App", "_python_error_handler", 2),
    ("falcon.asgi.app", "App", "_python_error_handler", 2),
    (
        "litestar.middleware._internal.exceptions.middleware",
        "ExceptionHandlerMiddleware",
        "default_http_exception_handler",
        1,
    ),
)
"""Where there is no signal: module, class, what it calls for an error that nobody else handles, the error's place."""


def _watch_handler(owner: str, name: str, place: int, module: Any) -> None:
    cls = getattr(module, owner, None)
    if cls is not None and name in vars(cls):
        wrap(cls, name, functools.partial(_before_handler, place), _GROUP)


def _before_handler(place: int, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    contain("frameworks.error", _note_argument, args, place)
    return wrapped(*args, **kwargs)


def _note_argument(args: tuple[Any, ...], place: int) -> None:
    _note_error_now(args[place])


def _note_error(sender: Any, **said: Any) -> None:
    contain("frameworks.error", _note_error_now, said.get("exception") or sys.exc_info()[1])


def _note_error_now(error: BaseException | None) -> None:
    current = request.current.get()
    if current is None or current.own is None or error is None:
        return
    if getattr(error, "status_code", 500) >= 500:  # one of less is an answer
        current.own.raised(error)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The ASGI edge around applications of no framework that has one: put there by the server that loads them."""

from __future__ import annotations

import functools
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import asgi
from otel_tts.patches import is_patched, replace

_GROUP: Final = "asgi_servers"
_INNER: Final = ("app", "application", "_app", "__wrapped__")
"""Where middlewares keep the application that they are around."""
_DEEPEST: Final = 32


def patch(module: Any) -> None:
    """Let the server that `module` is of put the edge around what it loads."""
    for owner, name, make in _LOADERS:
        where = getattr(module, owner, None) if owner else module
        if where is not None and hasattr(where, name):
            replace(where, name, make, _GROUP)


def put_around(app: Any) -> Any:
    """Return `app` with an edge around it; itself where an application inside of it has its own."""
    return app if _has_edge(app) else contain("asgi_servers", _around, app) or app


def _has_edge(app: Any) -> bool:
    for _ in range(_DEEPEST):
        if any(is_patched(cls, "__call__") for cls in type(app).__mro__):
            return True
        app = next((inner for name in _INNER if callable(inner := getattr(app, name, None))), None)
        if app is None:
            return False
    return False


def _around(app: Any) -> Any:
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await self(scope, receive, send)

    edge = asgi.with_edge(call, served=True)

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await edge(app, scope, receive, send)

    return served


# --- where each server has the application ----------------------------------------------------------------------------


def _after(original: Any, look: Any) -> Any:
    """`original`, a method, and then `look` at its instance."""

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        contain("asgi_servers", look, self)
        return result

    return method


def _look_at_uvicorn(config: Any) -> None:
    """Below what puts the client's address and scheme behind a proxy into the scope."""
    if config.interface == "wsgi":
        return
    outermost = config.loaded_app
    if type(outermost).__name__ == "ProxyHeadersMiddleware":
        outermost.app = put_around(outermost.app)
    else:
        config.loaded_app = put_around(outermost)


def _look_at_hypercorn(wrapper: Any) -> None:
    wrapper.app = put_around(wrapper.app)


def _look_at_daphne(server: Any) -> None:
    server.application = put_around(server.application)


def _serve_with_granian(original: Any) -> Any:
    @functools.wraps(original)
    def wrap_callback(callback: Any, *args: Any, **kwargs: Any) -> Any:
        return original(put_around(callback), *args, **kwargs)

    return wrap_callback


_LOADERS: Final = (
    ("Config", "load", functools.partial(_after, look=_look_at_uvicorn)),
    ("ASGIWrapper", "__init__", functools.partial(_after, look=_look_at_hypercorn)),
    ("Server", "__init__", functools.partial(_after, look=_look_at_daphne)),
    ("", "_callback_wrapper", _serve_with_granian),
)
"""Class, what loads or holds the application, and what is put in its place."""

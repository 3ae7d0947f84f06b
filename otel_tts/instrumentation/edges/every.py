# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""All edges at once: where requests come in, whoever serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import (
    aiohttp,
    asgi,
    asgi_servers,
    contrib,
    fastapi,
    frameworks,
    http_server,
    sanic,
    tornado,
    wsgi,
)

_HOOKS: Final[tuple[tuple[Callable[[], object], Callable[[], object]], ...]] = (
    (fastapi.watch_middleware, fastapi.unwatch_middleware),
    (asgi_servers.instrument, asgi_servers.uninstrument),
    (wsgi.instrument, wsgi.uninstrument),
    (aiohttp.instrument, aiohttp.uninstrument),
    (tornado.instrument, tornado.uninstrument),
    (sanic.instrument, sanic.uninstrument),
    (http_server.instrument, http_server.uninstrument),
    (frameworks.instrument, frameworks.uninstrument),
    (contrib.watch_instrumentations, contrib.unwatch_instrumentations),
)
"""Each with what undoes it."""


def instrument(before_end: Callable[[], object] | None = None) -> None:
    """Give every web application its edge, now or when its framework is imported. `before_end`: see `asgi`."""
    contain("asgi", asgi.instrument, before_end)
    for hook, _ in _HOOKS:
        contain("edges", hook)


def uninstrument() -> None:
    """Undo `instrument`."""
    asgi.uninstrument()
    for _, undo in _HOOKS:
        undo()

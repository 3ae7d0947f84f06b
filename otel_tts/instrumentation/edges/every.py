# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""All edges at once: where requests come in, whoever serves them.

An edge is a file of this folder with a function `patch`. It is imported when one of the modules is that it patches,
and is called with each of them: a process has few of them, and one that serves nothing has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import ending
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import patch_after_import, undo

WEB: Final[Mapping[str, tuple[str, ...]]] = {
    "asgi": (
        "starlette.applications", "fastapi.applications", "litestar.app", "quart.app", "django.core.handlers.asgi",
        "falcon.asgi.app",
    ),
    "fastapi": ("opentelemetry.instrumentation.asgi", "starlette.middleware.opentelemetry"),
    "asgi_servers": ("uvicorn.config", "hypercorn.app_wrappers", "daphne.server", "granian.asgi"),
    "wsgi": ("flask.app", "django.core.handlers.wsgi", "bottle", "falcon.app", "pyramid.router"),
    "aiohttp": ("aiohttp.web_protocol", "aiohttp.web_response"),
    "tornado": ("tornado.web",),
    "sanic": ("sanic.server.protocols.http_protocol", "sanic.response.types", "sanic.handlers.error"),
    "http_server": ("http.server",),
    "frameworks": (
        "flask.ctx", "quart.ctx", "django.core.handlers.base", "bottle", "falcon.app", "sanic.router", "pyramid.router",
        "flask.signals", "django.core.signals", "quart.signals", "falcon.asgi.app",
        "litestar.middleware._internal.exceptions.middleware",
    ),
    "contrib": tuple(
        f"opentelemetry.instrumentation.{name}"
        for name in ("wsgi", "flask", "django.middleware.otel_middleware", "falcon", "pyramid.callbacks", "tornado")
    ),
}  # fmt: skip
"""Edges of web applications, with what they patch; an edge's name is its group of patches."""

TASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "celery": ("celery.app.trace", "celery.signals"),
    "rq": ("rq.job",),
    "dramatiq": ("dramatiq.broker",),
    "wyoming": ("wyoming.server", "wyoming.client"),
    "grpc": ("grpc", "grpc.aio"),
    "litserve": ("litserve.server", "litserve.loops.base"),
    "ray": ("ray._private.utils", "ray.serve._private.replica", "ray.serve._private.proxy"),
    "answer_audio": ("starlette.responses",),
}
"""What requests come in by beside the web, and an answer by file; their patches are of the group of all hooks."""


def instrument(before_end: Callable[[], object] | None = None) -> None:
    """Give every web application its edge, now or when its framework is imported. Doing it again does nothing.

    `before_end`: see `otel_tts.instrumentation.edges.ending`.
    """
    ending.before_end = before_end or ending.before_end
    for edge, modules in WEB.items():
        contain(edge, patch_after_import, modules, f"{__package__}.{edge}", edge)


def instrument_tasks() -> None:
    """Give what else a request comes in by its edge, in the same way, until `patches.undo(HOOKS)`."""
    for edge, modules in TASKS.items():
        contain(edge, patch_after_import, modules, f"{__package__}.{edge}", HOOKS)


def uninstrument() -> None:
    """Undo `instrument`; what is open or loaded already keeps its edge."""
    ending.before_end = None
    for edge in WEB:
        undo(edge)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the instrumentation of FastAPI is told: no span per chunk, and one SERVER span per request.

FastAPI emits spans of its own since 0.142 and stands down only where it finds the contrib middleware in the app's own
stack. A sub-app that contrib has not covered, mounted in one that it has, would begin a second SERVER span in a trace
of its own; a value for its scope key says that somebody takes care.
"""

from __future__ import annotations

import functools
from collections.abc import MutableMapping
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, get_current_span

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import serving
from otel_tts.instrumentation.edges.answer import Receive, Send
from otel_tts.instrumentation.edges.asgi_scope import MOUNTED, QUIET, Scope
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.patches import replace

_GROUP: Final = "fastapi"

# A span per ASGI message is a span per audio chunk:
# https://github.com/open-telemetry/opentelemetry-python-contrib/issues/3992
EXCLUDE_SPANS: Final = ("receive", "send")


def options() -> dict[str, Any]:
    """Keyword arguments for ``FastAPIInstrumentor().instrument()``."""
    return {"exclude_spans": list(EXCLUDE_SPANS), "server_request_hook": silence_inner_apps}


def silence_inner_apps(span: Span, scope: MutableMapping[str, Any]) -> None:
    """Server request hook: keep FastAPI's own telemetry in mounted apps quiet."""
    scope.setdefault("fastapi.telemetry", None)


def patch(module: Any) -> None:
    """Let the middleware of OpenTelemetry or Starlette pass requests that are to leave nothing.

    Where a request has a span of ours already, whoever put the middleware there wanted its span: ours gives way. And
    inside a mounted page no second span is made for the same request, but the one that there is named after the route.
    """
    replace(module.OpenTelemetryMiddleware, "__call__", _quiet, _GROUP)


def _quiet(original: Any) -> Any:
    """A real ``async def``: see `asgi`."""

    @functools.wraps(original)
    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get(QUIET) or contain("fastapi", _is_named_already, self, scope):
            await self.app(scope, receive, send)
            return
        contain("fastapi.foreign", serving.note_foreign, self)
        outside = contain("fastapi.outside", serving.context_for_another)
        if outside is None:
            await original(self, scope, receive, send)
            return
        token = enter_context(outside)
        try:
            await original(self, scope, receive, send)
        finally:
            leave_context(outside, token)

    return __call__


def _is_named_already(middleware: Any, scope: Scope) -> bool:
    span: Any = get_current_span()
    if serving.ours or scope["type"] != "http" or not scope.get(MOUNTED):
        return False
    if getattr(span, "kind", None) is not SpanKind.SERVER:
        return False
    if not span.is_recording() or not scope.get("root_path"):
        return False
    name, attributes = middleware.default_span_details(scope)
    if route := attributes.get("http.route"):
        route = f"{scope['root_path']}{route}"
        span.update_name(f"{name.partition(' ')[0]} {route}")
        span.set_attribute("http.route", route)
    return True


# --- apps that are pickled ------------------------------------------------------------------------------------------

_OWN: Final = ("build_middleware_stack", "_original_build_middleware_stack", "_is_instrumented_by_opentelemetry")


def keep_picklable(instrumentation: Any) -> None:
    """Let apps be pickled and copied as bare ones: Ray Serve sends them to its replicas.

    `instrumentation` (opentelemetry.instrumentation.fastapi) hangs closures with live tracers and locks on each app.
    They stay here, and a copy is instrumented where it is loaded. The class is pickled as ``fastapi.FastAPI``, which is
    its name while the instrumentation is on, so that processes without it load the app too.
    """
    cls: Any = instrumentation._InstrumentedFastAPI
    cls.__name__ = cls.__qualname__ = "FastAPI"
    cls.__module__ = "fastapi"
    cls.__getstate__ = _bare_state

    def __setstate__(self: Any, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        contain("fastapi.copy", _instrument_copy, instrumentation, self)

    cls.__setstate__ = __setstate__


def _bare_state(app: Any) -> dict[str, Any]:
    own: dict[str, Any] = dict(app.__dict__)
    state = {name: value for name, value in own.items() if name not in _OWN}
    if "build_middleware_stack" in own:
        state["middleware_stack"] = None  # it is built anew at the first request, as in an app that had none yet
    return state


def _instrument_copy(instrumentation: Any, app: Any) -> None:
    instrumentor, cls = instrumentation.FastAPIInstrumentor, instrumentation._InstrumentedFastAPI
    if instrumentor().is_instrumented_by_opentelemetry:
        instrumentor.instrument_app(app, **cls._instrument_kwargs)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The WSGI edge: every request of a Flask, Django, Bottle, Falcon or Pyramid app has an id and one server span.

Patched into the applications' ``__call__``, as the ASGI edge is (see `otel_tts.instrumentation.edges.asgi`): outside
of every middleware that is put around ``app.wsgi_app``, whenever and however the app was made, whatever serves it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.util import request_uri

from otel_tts import marking
from otel_tts.guard import contain
from otel_tts.instrumentation.edges import serving, wsgi_span
from otel_tts.instrumentation.edges.exchange import greet, show_facts
from otel_tts.instrumentation.edges.wsgi_answer import Answer, StartResponse
from otel_tts.otel_private.context import current_context
from otel_tts.patches import replace
from otel_tts.recording import request

Environ = dict[str, Any]
Application = Callable[[Any, Environ, StartResponse], Iterable[bytes]]

HEADER: Final = "HTTP_X_REQUEST_ID"
MARK: Final = "otel_tts.request"
"""Key in the environ that says an outer app has done it: mounted apps are called with the same one."""
_MARKED: Final = "HTTP_" + marking.HEADER.upper().replace("-", "_")

_APPLICATIONS: Final = ("Flask", "WSGIHandler", "Bottle", "App", "Router")
_GROUP: Final = "wsgi"


def patch(module: Any) -> None:
    """Give the class of applications that `module` has the edge."""
    for name in _APPLICATIONS:
        cls = getattr(module, name, None)
        if isinstance(cls, type) and "__call__" in cls.__dict__:
            replace(cls, "__call__", functools.partial(_with_edge, framework=cls.__module__.partition(".")[0]), _GROUP)


def _with_edge(original: Application, framework: str = "wsgi") -> Application:
    excluded = serving.Excluded(framework)

    @functools.wraps(original)
    def __call__(self: Any, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = None if MARK in environ else contain("wsgi", _enter, excluded, environ, start_response)
        if answer is None:
            return original(self, environ, start_response)
        try:
            result = answer.run(original, self, environ, answer.start_response)
        except BaseException as error:
            contain("wsgi.failed", answer.fail, error)
            raise
        body = contain("wsgi.body", answer.take, result, environ)
        return result if body is None else body

    return __call__


def _enter(excluded: serving.Excluded, environ: Environ, start_response: StartResponse) -> Answer:
    connection = environ.get("werkzeug.socket") or environ.get("gunicorn.socket")
    find = environ.get
    current = greet(find(HEADER), find("HTTP_X_REQUEST_START"), find("HTTP_UPGRADE"), find(_MARKED), connection)
    inside = contain("wsgi.server", _begin_span, excluded, environ, current)
    show_facts(current)
    if HEADER not in environ or not serving.trusts_caller():
        environ[HEADER] = current.id
    environ[MARK] = current
    return Answer(current, start_response, current_context() if inside is None else inside, environ, connection)


def _begin_span(excluded: serving.Excluded, environ: Environ, current: request.Request) -> Any:
    """Begin the SERVER span and return the context inside of it, where there is one of ours."""
    span = wsgi_span.begin(environ, current) if not excluded.has(request_uri, environ) else None
    return span.inside if span is not None else None

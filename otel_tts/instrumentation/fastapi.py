# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the instrumentation of FastAPI is told: no span per chunk, and one SERVER span per request.

FastAPI emits spans of its own since 0.142 and stands down only where it finds the contrib middleware in the app's own
stack. A sub-app that contrib has not covered, mounted in one that it has, would begin a second SERVER span in a trace
of its own; a value for its scope key says that somebody takes care.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from opentelemetry.trace import Span

# A span per ASGI message is a span per audio chunk:
# https://github.com/open-telemetry/opentelemetry-python-contrib/issues/3992
EXCLUDE_SPANS: Final = ("receive", "send")


def options() -> dict[str, Any]:
    """Keyword arguments for ``FastAPIInstrumentor().instrument()``."""
    return {"exclude_spans": list(EXCLUDE_SPANS), "server_request_hook": silence_inner_apps}


def silence_inner_apps(span: Span, scope: MutableMapping[str, Any]) -> None:
    """Server request hook: keep FastAPI's own telemetry in mounted apps quiet."""
    scope.setdefault("fastapi.telemetry", None)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What OpenTelemetry's own instrumentations of WSGI, Flask, Django and others are told: who has one gets its spans.

They make a SERVER span only where no span is current; ours would be, and theirs one inside of it. All of them ask one
function, which each has by a name of its own.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from otel_tts.instrumentation.edges import serving
from otel_tts.patches import after_import, replace, undo

_GROUP: Final = "contrib"
_ASKS: Final = "_start_internal_or_server_span"
_PACKAGE: Final = "opentelemetry.instrumentation."
_MODULES: Final = ("wsgi", "flask", "django.middleware.otel_middleware", "falcon", "pyramid.callbacks", "tornado")


def watch_instrumentations() -> None:
    """Let them make their span in the place of ours, now or when they are imported."""
    for name in _MODULES:
        after_import(_PACKAGE + name, _patch, _GROUP)


def unwatch_instrumentations() -> None:
    """Undo `watch_instrumentations`."""
    undo(_GROUP)


def _patch(module: Any) -> None:
    if hasattr(module, _ASKS):
        replace(module, _ASKS, _in_place_of_ours, _GROUP)


def _in_place_of_ours(original: Any) -> Any:
    @functools.wraps(original)
    def start(*args: Any, **kwargs: Any) -> Any:
        return serving.make_anothers(original, *args, **kwargs)

    return start

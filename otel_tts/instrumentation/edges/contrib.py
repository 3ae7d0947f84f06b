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
from otel_tts.patches import replace

_GROUP: Final = "contrib"
_ASKS: Final = "_start_internal_or_server_span"


def patch(module: Any) -> None:
    """Let this instrumentation make its span in the place of ours."""
    if hasattr(module, _ASKS):
        replace(module, _ASKS, _in_place_of_ours, _GROUP)


def _in_place_of_ours(original: Any) -> Any:
    @functools.wraps(original)
    def start(*args: Any, **kwargs: Any) -> Any:
        return serving.make_anothers(original, *args, **kwargs)

    return start

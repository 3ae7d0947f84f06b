# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What otel-tts keeps in the scope of an ASGI request, and who may look at a scope before its request begins."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]

QUIET: Final = "otel_tts.quiet"
"""Key of requests that leave nothing; `edges/fastapi.py` keeps the framework's telemetry from them."""
MOUNTED: Final = "otel_tts.mounted"
"""Key of requests that a page inside another app answers."""
MARK: Final = "otel_tts.recording.request"
"""Key that says an outer app has done it: mounted apps are called with the same scope."""
SERVED: Final = "otel_tts.served"
"""Key of requests whose edge is around an application of no framework."""

look_at: Callable[[Any, Scope], object] | None = None
"""Is shown each app's requests and may set QUIET and MOUNTED. Set by the instrumentation of a page server."""

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Pipecat: what an engine in its process speaks stands below pipecat's own ``tts`` span, where its tracing is on.

Pipecat opens that span when it opens the audio's context, keeps it on the service, and never makes it current.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context

from otel_tts.guard import contain
from otel_tts.instrumentation.wrapping import wrap_after_import
from otel_tts.otel_private.context import current_context, enter_context, leave_context


def watch_pipecat() -> None:
    """Hook the steps of every service's synthesis after pipecat's import."""
    wrap_after_import("pipecat.services.tts_service", "TTSService.tts_process_generator", _speak, optional=True)


async def _speak(wrapped: Any, service: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    inside = contain("pipecat", _below_its_span, service, *args, **kwargs)
    outside = contain("pipecat", enter_context, inside) if inside is not None else None
    try:
        return await wrapped(*args, **kwargs)
    finally:
        if inside is not None and outside is not None:
            contain("pipecat", leave_context, inside, outside)


def _below_its_span(service: Any, context_id: str, generator: Any) -> Context | None:
    """Return the context in which pipecat's span of this audio is current; None without such a span."""
    opened: dict[str, Any] | None = getattr(service, "_tts_spans", {}).get(context_id)
    if opened is None or not opened["span"].get_span_context().is_valid:
        return None
    return trace.set_span_in_context(opened["span"], current_context())

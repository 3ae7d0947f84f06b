# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is done when the application that an edge is around shuts down: servers end in ways that skip atexit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from otel_tts.guard import contain, note_fault

before_end: Callable[[], object] | None = None
"""Is called, in another thread, when an application has shut down and before its server hears of it."""


async def flush() -> None:
    """Call, in another thread, what is there to be called at the end."""
    if (call := before_end) is not None:
        try:
            await _in_thread(call)
        except Exception as error:
            note_fault("asgi.lifespan", error)


async def _in_thread(call: Callable[[], object]) -> None:
    try:
        from anyio.to_thread import run_sync  # where it is there, as with Starlette, the loop may be another's
    except ImportError:
        await asyncio.to_thread(contain, "asgi.flush", call)
    else:
        await run_sync(contain, "asgi.flush", call, abandon_on_cancel=True)

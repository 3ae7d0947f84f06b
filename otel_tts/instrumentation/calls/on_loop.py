# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that is called on an event loop's thread without being awaited: whatever is due there waits for it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from typing import Final

from otel_tts import names
from otel_tts.recording.loops.code import place_of
from otel_tts.recording.synthesis import Synthesis

_SAID_FROM_S: Final = 0.1
"""What blocks a loop for less is noted, and no reason to change a service."""

_times: Final = itertools.count()

_logger = logging.getLogger("otel_tts")


def is_on_loop() -> bool:
    """Whether this thread is inside of a running event loop."""
    return asyncio._get_running_loop() is not None


def note_blocked(synthesis: Synthesis, busy: int) -> None:
    """The engine ran for `busy` ns on this thread's event loop, whose code has called it."""
    if synthesis.t1 is not None:
        return
    blocked: float = synthesis.attrs.get(names.LOOP_BLOCKED, 0.0) + busy / 1e9
    synthesis.attrs[names.LOOP_BLOCKED] = blocked
    if blocked >= _SAID_FROM_S:
        _say_blocked(round(blocked, 2))


def _say_blocked(seconds: float) -> None:
    """Say it once in a process: what is to be changed is the same for all that come."""
    if next(_times):
        return
    place = place_of(sys._getframe())
    _logger.warning(
        "otel-tts: a synthesis ran for %s s on the event loop's thread, called by %s; until it ends no other request "
        "of that loop goes on. Let it run on a thread: `await asyncio.to_thread(...)`, or `def` instead of `async def` "
        "for the function that answers the request",
        seconds, (place.coroutine or place.code) if place is not None else "?",
    )  # fmt: skip

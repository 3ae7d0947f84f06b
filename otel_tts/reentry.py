# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Python 3.10 and 3.11 may crash where a collection changes a context variable: what it replaced is kept for a while.

There a collection begins in the middle of whatever asks for memory, setting a context variable among it. A generator
that is closed by that collection, and sets one too (ours does, so that its cleaning up belongs to its request), frees
the variables that the first one is still reading (https://github.com/python/cpython/issues/148891). From Python 3.12
on collections wait for the next instruction.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final

_NEEDED: Final = sys.version_info < (3, 12)
_MOST_KEPT: Final = 2
"""Collections in one setting of a variable: the next begins when some hundreds of objects more are there."""


class Keeper:
    """Keeps the current context's variables as they were before a collection, where the collection changed them."""

    def __init__(self) -> None:
        self.kept: deque[object] = deque(maxlen=_MOST_KEPT)
        self._before: object = None
        # Bound here: at the interpreter's end the names of modules are gone.
        self._copy: Callable[[], Context] = copy_context
        self._held_by: Callable[..., list[Any]] = gc.get_referents

    def begin(self) -> None:
        """Be told of each collection from now on, where this Python needs it."""
        if _NEEDED:
            gc.callbacks.append(self.note)

    def note(self, phase: str, info: dict[str, int]) -> None:
        """A collection starts or stops. No two do at once, and its thread is the one that it interrupted."""
        now = self._held_by(self._copy())[-1]
        if phase == "start":
            self._before = now
            return
        if now is not self._before:
            self.kept.append(self._before)
        self._before = None

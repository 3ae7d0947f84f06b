# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a disk that may never answer: a network mount that hangs must not hold up every request's telemetry."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from otel_tts.guard import contain

_logger = logging.getLogger("otel_tts")

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S: Final = 1.0
"""Seconds that one call is waited for."""


class Patience:
    """Calls that are waited for a moment each; while one of them hangs, none."""

    def __init__(self, seconds: float = PATIENCE_S) -> None:
        self._seconds = seconds
        self._hanging: threading.Thread | None = None

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return what `call` returns; None where it fails, takes too long, or an earlier one has not come back."""
        if self._hanging is not None and self._hanging.is_alive():  # of a parent's thread a child says False
            return None
        answer: list[T | None] = []
        thread = threading.Thread(
            target=lambda: answer.append(contain("patience", call, *args, **kwargs)),
            name="otel-tts reference", daemon=True,
        )  # fmt: skip
        try:
            thread.start()
        except RuntimeError:  # no more threads, or none any more at the interpreter's end
            return contain("patience", call, *args, **kwargs)
        thread.join(self._seconds)
        if answer:
            return answer[0]
        self._hanging = thread
        _logger.warning(
            "otel-tts: a reference recording could not be read within %g s; until its disk answers, voices are told "
            "apart by the paths of their files (hashed)", self._seconds,
        )  # fmt: skip
        return None

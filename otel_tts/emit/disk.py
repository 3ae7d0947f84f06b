# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a disk that may never answer: a network mount that hangs must not hold up every request's telemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

from otel_tts.background import Worker

_logger = logging.getLogger("otel_tts")

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S: Final = 1.0
"""Seconds that one call is waited for."""


class Disk:
    """Calls that are waited for a moment each; while one of them hangs, none."""

    def __init__(self, seconds: float = PATIENCE_S) -> None:
        self._seconds = seconds
        self._worker = Worker("otel-tts reference", "patience")
        self.renew = self._worker.renew

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return what `call` returns; None where it fails, takes too long, or an earlier one has not come back."""
        if self._worker.open:
            return None
        answer = self._worker.ask(self._seconds, partial(call, *args, **kwargs))
        if answer is None and self._worker.open:
            _logger.warning(
                "otel-tts: a reference recording could not be read within %g s; until its disk answers, voices are "
                "told apart by the paths of their files (hashed)", self._seconds,
            )  # fmt: skip
        return answer

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Telemetry never hurts: the one place where an error inside otel-tts is caught, logged once and counted.

Only our own code runs inside a guard; the application's calls and exceptions never pass through it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

_logger = logging.getLogger("otel_tts")

P = ParamSpec("P")
T = TypeVar("T")

faults: Final[Counter[str]] = Counter()
"""How often each place failed since the process started: the source of the metric ``otel_tts.faults``."""

_MAX_PLACES: Final = 100


def contain(place: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Call `call` and return its result; on any Exception note it under `place` and return None."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        note_fault(place, error)
        return None


def note_fault(place: str, error: BaseException) -> None:
    """Count an error of ours; the first at each place is logged with its class and our line, never with its message.

    The message may quote an argument, and an argument may be the text that was to be spoken.
    """
    if place not in faults and len(faults) >= _MAX_PLACES:
        place = "other"
    faults[place] += 1
    if faults[place] == 1 and not sys.is_finalizing():  # imports fail then, and nothing leaves any more
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
        _logger.warning(
            "otel-tts: contained %s in %s at %s; the service is not affected, some telemetry may be missing",
            type(error).__name__, place, where,
        )  # fmt: skip

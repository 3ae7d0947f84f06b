# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's logging handler gets what reaches the root logger, and is not one of the root logger's handlers.

A handler there is taken for the application's: `logging.warning()` no longer sets its format, Flask, RQ and Tornado add
none of their own, warnings that nobody shows are not printed, and `handlers.clear()` ends the export.

Records are handed over when the logger has let them pass, before the application's handlers are called: who walks the
stack from a handler to the line that was logged, as loguru's recipe does, meets no frame of ours.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, Final

from otel_tts.guard import note_fault
from otel_tts.patches import replace, undo

_GROUP: Final = "logging.handler"
_aside: Final[list[logging.Handler]] = []


def step_aside() -> list[logging.Handler]:
    """Take OpenTelemetry's handlers off the root logger and hand records to them all the same. Return those."""
    root = logging.getLogger()
    found = [handler for handler in root.handlers if is_exporting(handler)]
    for handler in found:
        _aside.append(handler)
        root.removeHandler(handler)
    if found:
        replace(logging.Logger, "filter", _exporting, _GROUP)
    return found


def forget() -> None:
    """Hand nothing over any more; the handlers are on no logger then (tests)."""
    undo(_GROUP)
    _aside.clear()


def is_exporting(handler: logging.Handler) -> bool:
    """Say whether `handler` is OpenTelemetry's: it exports records and shows them to nobody here."""
    return type(handler).__name__ == "LoggingHandler" and type(handler).__module__.startswith("opentelemetry.")


def exports() -> bool:
    """Say whether records of the logging module leave, by a handler that stands aside or is on the root logger."""
    return bool(_aside) or any(is_exporting(handler) for handler in logging.getLogger().handlers)


def _exporting(original: Any) -> Any:
    @functools.wraps(original)
    def filter(self: logging.Logger, record: logging.LogRecord) -> Any:
        passed = original(self, record)
        try:
            if passed:  # from Python 3.12 on it may be another record
                _hand_over(self, passed if isinstance(passed, logging.LogRecord) else record)
        except Exception as error:
            note_fault("logging.handler", error)
        return passed

    return filter


def _hand_over(logger: logging.Logger, record: logging.LogRecord) -> None:
    if _reaches_root(logger):
        for handler in _aside:
            if record.levelno >= handler.level:
                handler.handle(record)


def _reaches_root(logger: logging.Logger) -> bool:
    while (parent := logger.parent) is not None:
        if not logger.propagate:
            return False
        logger = parent
    return True

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Lines that the service logs with loguru leave as those of the logging module do, through the same gate.

A sink of ours stands beside the application's own and has the level of the lowest of them: nothing is logged, formatted
or evaluated that was not before. It comes back where the application removes all sinks, and goes where there are none.
A line that an application hands on from one of the two libraries to the other leaves once.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from contextvars import ContextVar
from types import CodeType
from typing import Any, Final

from opentelemetry._logs import LogRecord, get_logger
from opentelemetry.instrumentation.log_utils import std_to_otel

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.libraries import log_handler
from otel_tts.otel_private.context import current_context
from otel_tts.patches import after_import, original, replace, undo
from otel_tts.record import type_name
from otel_tts.recording import request

_NAMES: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
"""Levels that OpenTelemetry calls otherwise."""
_PLAIN: Final = (str, int, float, bool)
_DEEPEST: Final = 40
"""Frames between a line and the handler of the other library that it came through."""

_GROUP: Final = "loguru"
_active = False
_exporting: Final[ContextVar[bool]] = ContextVar("otel_tts_loguru", default=False)


def instrument() -> None:
    """Give loguru's logger a sink of ours, now or when it is imported. Doing it again does nothing."""
    global _active
    _active = True
    after_import("loguru", _adopt, _GROUP)


def uninstrument() -> None:
    """Take our sink from loguru's logger."""
    global _active
    _active = False
    undo(_GROUP)
    if (module := sys.modules.get("loguru")) is not None:
        contain("loguru", _remove_sinks, module.logger)


def _adopt(module: Any) -> None:
    owner: Any = module.logger.__class__
    for name in ("add", "remove"):
        replace(owner, name, _fitting, _GROUP)
    _fit(module.logger)


def _fitting(original: Any) -> Any:
    @functools.wraps(original)
    def fitted(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if _active:  # somebody's own patch may keep this one where it is
            contain("loguru", _fit, self)
        return result

    return fitted


def _fit(logger: Any) -> None:
    """Let the sink have the level of the application's lowest one."""
    handlers: dict[int, Any] = logger._core.handlers
    lowest = min((handler.levelno for handler in handlers.values() if not _is_ours(handler)), default=None)
    ours = [handler.levelno for handler in handlers.values() if _is_ours(handler)]
    if ours == ([] if lowest is None else [lowest]):
        return
    _remove_sinks(logger)
    if lowest is not None:
        original(logger.__class__, "add")(
            logger, sink_of_otel_tts, level=lowest, format=no_text, filter=is_to_leave, backtrace=False, diagnose=False
        )


def _remove_sinks(logger: Any) -> None:
    for number, handler in list(logger._core.handlers.items()):
        if _is_ours(handler):
            original(logger.__class__, "remove")(logger, number)


def _is_ours(handler: Any) -> bool:
    return handler._name == sink_of_otel_tts.__name__


# Loguru pickles its sinks with the logger, so these three have names to be found by.


def sink_of_otel_tts(message: Any) -> None:
    """Send a line; loguru's sinks get it as a text that has a `record`."""
    contain("loguru", _send, message.record)


def no_text(record: Any) -> str:
    """The sink's format: it sends the parts, and the text of an exception would be made for nobody."""
    return ""


def is_to_leave(record: Any) -> bool:
    """The sink's filter. It stands before loguru's lock, which a line of the SDK's own may not take a second time."""
    return not _exporting.get() and not contain("loguru", _leaves_otherwise)


def _leaves_otherwise() -> bool:
    """Whether the line was handed on from the logging module, where it is exported already."""
    return log_handler.exports() and _is_below(logging.Logger.callHandlers.__code__)


def came_from_loguru(record: logging.LogRecord) -> bool:
    """Say whether a record of the logging module is a line of loguru's that has left already."""
    if not _active or not isinstance(record.__dict__.get("extra"), dict):  # what loguru gives such a record
        return False
    sinks: Any = sys.modules.get("loguru._simple_sinks")
    return sinks is not None and _is_below(sinks.StandardSink.write.__code__)


def _is_below(code: CodeType) -> bool:
    frame = sys._getframe(1)
    for _ in range(_DEEPEST):
        if frame is None or frame.f_code is code:
            break
        frame = frame.f_back
    return frame is not None and frame.f_code is code


def _send(record: dict[str, Any]) -> None:
    token = _exporting.set(True)
    try:
        level = record["level"]
        get_logger(record["name"] or "loguru").emit(
            LogRecord(
                timestamp=int(record["time"].timestamp() * 1e9), observed_timestamp=time.time_ns(),
                context=current_context(), severity_number=std_to_otel(level.no),
                severity_text=_NAMES.get(level.name, level.name), body=record["message"], attributes=_facts(record),
            )
        )  # fmt: skip
    finally:
        _exporting.reset(token)


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a line of the logging module would have; what the application bound comes first."""
    facts: dict[str, Any] = {key: value for key, value in record["extra"].items() if isinstance(value, _PLAIN)}
    if (current := request.current.get()) is not None:
        facts.setdefault(names.REQUEST_ID, current.id)
        if current.offered is not None:
            facts.setdefault(names.REQUEST_OFFERED, current.offered)
    if (failure := record["exception"]) is not None and failure.value is not None:
        facts["exception.type"] = type_name(failure.value)
        facts["exception.message"] = str(failure.value)
    return facts | {
        "code.file.path": record["file"].path,
        "code.line.number": record["line"],
        "code.function.name": record["function"],
    }

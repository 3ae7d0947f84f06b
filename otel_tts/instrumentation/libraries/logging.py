# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The service's own log lines say which request they belong to: ``%(request_id)s`` and ``%(trace_id)s``.

Not by a log record factory: what a factory sets, `logger.info(…, extra={"request_id": …})` may not overwrite, and the
application's line would raise KeyError. `Logger.makeRecord` comes after `extra`, so what the application says stays.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import INVALID_SPAN_CONTEXT

from otel_tts import names
from otel_tts.guard import note_fault
from otel_tts.instrumentation.libraries.loguru import came_from_loguru
from otel_tts.otel_private.context import SPAN_KEY, current_context
from otel_tts.patches import after_import, replace, undo
from otel_tts.recording import request

ABSENT: Final = "-"
"""What a format string shows outside of a request."""

_HANDLER_MODULE: Final = "opentelemetry.instrumentation.logging.handler"
_GROUP: Final = "logging"


def instrument() -> None:
    """Put ids on every record of the logging module from now on. Doing it again does nothing."""
    replace(logging.Logger, "makeRecord", _identifying, _GROUP)
    after_import(_HANDLER_MODULE, _adopt_handler, _GROUP)


def uninstrument() -> None:
    """Let records of the logging module be without our ids again."""
    undo(_GROUP)


def _identifying(original: Any) -> Any:
    @functools.wraps(original)
    def makeRecord(self: logging.Logger, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = original(self, *args, **kwargs)
        try:
            _identify(record.__dict__)
        except Exception as error:
            note_fault("logging", error)
        return record

    return makeRecord


def _identify(fields: dict[str, Any]) -> None:
    if "request_id" not in fields:
        current = request.current.get()
        fields["request_id"] = ABSENT if current is None else current.id
        if current is not None and current.offered is not None:
            fields[names.REQUEST_OFFERED] = current.offered
    if "trace_id" not in fields:
        span: Any = current_context().get(SPAN_KEY)
        context = span.get_span_context() if span is not None else INVALID_SPAN_CONTEXT
        fields["trace_id"] = f"{context[0]:032x}" if context[5] else ABSENT


def _adopt_handler(module: Any) -> None:
    replace(module.LoggingHandler, "emit", _exporting, _GROUP)
    replace(module.LoggingHandler, "flush", _flushing, _GROUP)


def _exporting(original: Any) -> Any:
    @functools.wraps(original)
    def emit(self: logging.Handler, record: logging.LogRecord) -> None:
        try:
            if came_from_loguru(record):
                return
            record = _for_export(record)
        except Exception as error:
            note_fault("logging.export", error)
        original(self, record)

    return emit


_OWN_FIELDS: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_PLAIN: Final = (str, bool, int, float, bytes, type(None))
_DEEPEST: Final = 8


def _is_value(value: Any, depth: int = 0) -> bool:
    """Whether OpenTelemetry takes `value` for an attribute."""
    if isinstance(value, _PLAIN):
        return True
    if depth >= _DEEPEST:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_value(v, depth + 1) for k, v in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return isinstance(value, (list, tuple)) and all(_is_value(v, depth + 1) for v in value)  # pyright: ignore[reportUnknownVariableType]


def _flushing(original: Any) -> Any:
    @functools.wraps(original)
    def flush(self: logging.Handler) -> None:
        try:
            original(self)
        except RuntimeError:  # it starts a thread, which Python 3.12 refuses at exit; all has been flushed by then
            pass

    return flush


def _for_export(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy without what an exported record has by itself (the trace id) or has not (no request).

    And without what cannot be an attribute, of which OpenTelemetry would warn: Django's error pages give the request
    as an ``extra``.
    """
    fields = {name: value for name, value in record.__dict__.items() if name in _OWN_FIELDS or _is_value(value)}
    fields.pop("trace_id", None)
    if fields.get("request_id") == ABSENT:
        del fields["request_id"]
    copy = record.__class__.__new__(record.__class__)
    copy.__dict__.update(fields)
    return copy

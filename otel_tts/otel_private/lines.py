# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private names of OpenTelemetry's loggers and their processors by which our lines go straight into their queues.

A logger wraps a line, checks each of its attributes and copies it, so that processors may change it: most of what a
line costs. Where none may and there is nothing to check, the result is put into the queue at once.
tests/unit/otel_private/test_lines.py pins what each does upstream. Where one is gone, lines go through the logger.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from typing import Any, Final

from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

from otel_tts.otel_private.limits import are_simple

_NOWHERE: Final = Context()


class Handover:
    """The way of lines to the queues behind a logger of any provider."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._queues: tuple[Any, ...] = ()
        self.is_heard = True
        """Whether any processor gets a line."""
        self._most: int | None = None
        self.look_at_processors()

    def look_at_processors(self) -> None:
        """Choose the way for the next lines; to be asked again, since processors may be added at any time."""
        logger: Any = self._logger
        limits = getattr(logger, "_log_record_limits", None)
        enabled = getattr(logger, "_is_enabled", lambda: False)()
        self._most = getattr(limits, "max_log_record_attributes", 0)
        shortens = getattr(limits, "max_log_record_attribute_length", 0) is not None
        processors = getattr(getattr(logger, "_multi_log_record_processor", None), "_log_record_processors", None)
        self.is_heard = processors is None or len(processors) > 0
        self._queues = _queues_of(processors or ()) if enabled and not shortens else ()

    def emit(self, line: LogRecord) -> None:
        """Hand over `line`, whose attributes are a dict that nobody changes afterwards."""
        attributes: Any = line.attributes
        if self._queues and are_simple(attributes, self._most):
            self._put(line)
        else:
            self._logger.emit(line)

    def _put(self, line: LogRecord) -> None:
        """Put it into each queue as the processors do: a copy for each, without its context, which is large."""
        logger: Any = self._logger
        line.context = _NOWHERE
        for number, queue in enumerate(self._queues):
            own = copy.copy(line) if number else line
            scope, limits = logger._instrumentation_scope, logger._log_record_limits
            queue.emit(ReadableLogRecord(own, logger._resource, scope, limits))


def _queues_of(processors: Iterable[Any]) -> tuple[Any, ...]:
    """Return the queues of the SDK's batch processors; nothing where one is of another kind, or lines are counted."""
    if os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").lower() == "true":
        return ()
    if any(type(processor) is not BatchLogRecordProcessor for processor in processors):
        return ()
    queues = tuple(getattr(processor, "_batch_processor", None) for processor in processors)
    return queues if all(hasattr(queue, "emit") for queue in queues) else ()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's logging handler, out of the application's sight."""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from otel_tts import guard
from otel_tts.instrumentation.libraries import log_handler


class Memory(InMemoryLogRecordExporter):
    def bodies(self) -> list[object]:
        return [data.log_record.body for data in self.get_finished_logs()]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """What leaves. The root logger has no handler, as in a process that has not set logging up."""
    memory, provider = Memory(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    handler = LoggingHandler(logger_provider=provider)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [handler])
    assert log_handler.step_aside() == [handler]
    assert log_handler.step_aside() == [] == root.handlers
    yield memory
    log_handler.forget()


def test_what_reaches_the_root_logger_leaves(exported: Memory) -> None:
    quiet, loud = logging.getLogger("test.aside.quiet"), logging.getLogger("test.aside.loud")
    quiet.propagate, loud.level = False, logging.INFO
    try:
        quiet.warning("kept to itself")
        loud.info("passes")
        loud.debug("below its level")
        loud.addFilter(lambda record: record.getMessage() != "refused")
        loud.warning("refused")
        logging.getLogger("test.aside.quiet.child").warning("under one that keeps to itself")
        logging.getLogger().warning("root")
        assert exported.bodies() == ["passes", "root"]
    finally:
        quiet.propagate, loud.level = True, logging.NOTSET
        loud.filters.clear()


def test_its_own_level_and_filters_hold(exported: Memory) -> None:
    (handler,) = log_handler._aside
    handler.setLevel(logging.ERROR)
    handler.addFilter(lambda record: record.getMessage() != "filtered")
    for line in ("filtered", "error"):
        logging.getLogger("test.aside").warning(line)
        logging.getLogger("test.aside").error(line)
    assert exported.bodies() == ["error"]


def test_it_survives_what_an_application_does_with_its_handlers(exported: Memory) -> None:
    logging.getLogger().handlers.clear()
    logging.basicConfig(force=True)
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}})
    logging.getLogger("test.aside").warning("still there")
    assert exported.bodies() == ["still there"]


def test_a_handler_that_walks_the_stack_meets_no_frame_of_ours(exported: Memory) -> None:
    files: list[str] = []

    class Walk(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            frame = sys._getframe(1)
            while frame.f_code.co_filename == logging.__file__ and frame.f_back is not None:
                frame = frame.f_back
            files.append(frame.f_code.co_filename)

    logging.getLogger().addHandler(Walk())
    logging.getLogger("test.aside").warning("once")
    assert files == [__file__]
    assert exported.bodies() == ["once"]


def test_a_handler_that_fails_is_not_the_applications_trouble(exported: Memory) -> None:
    (handler,) = log_handler._aside
    handler.emit = lambda record: 1 / 0  # type: ignore[method-assign]
    logging.getLogger("test.aside").warning("said")
    assert guard.faults["logging.handler"] >= 1  # the line that tells of it is one too
    guard.faults.clear()


def test_it_can_be_undone(exported: Memory) -> None:
    log_handler.forget()
    logging.getLogger("test.aside").warning("gone")
    assert exported.bodies() == []
    assert "filter" not in vars(logging.Logger)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Real loguru: what it logs leaves once, with level, place, trace and request, and nothing else changes."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger
from opentelemetry import trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_tts import guard
from otel_tts.instrumentation.libraries import logging as log_lines
from otel_tts.instrumentation.libraries import loguru
from otel_tts.recording import request

SPAN = NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(1)))


class Memory(InMemoryLogRecordExporter):
    @property
    def records(self) -> list[Any]:
        return [data.log_record for data in self.get_finished_logs()]

    def bodies(self) -> list[str]:
        return [record.body for record in self.records]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """What leaves; loguru has one sink of the application's own, at INFO, and no other."""
    memory, provider = Memory(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    monkeypatch.setattr(loguru, "get_logger", provider.get_logger)
    logger.remove()
    logger.add(lambda _: None, level="INFO")
    loguru.instrument()
    loguru.instrument()
    yield memory
    loguru.uninstrument()
    logger.remove()


@pytest.fixture
def in_request() -> Iterator[request.Request]:
    made = request.Request("r1", 0)
    token = request.current.set(made)
    with trace.use_span(SPAN):
        yield made
    request.current.reset(token)


def sinks() -> list[int]:
    return [handler.levelno for handler in logger._core.handlers.values() if loguru._is_ours(handler)]


def test_a_line_leaves_with_its_level_place_trace_and_request(exported: Memory, in_request: request.Request) -> None:
    logger.warning("said {}", "this")
    (record,) = exported.records
    assert (record.severity_text, record.severity_number.name, record.body) == ("WARN", "WARN", "said this")
    assert (record.trace_id, record.span_id) == (0xABC, 0xDEF)
    attributes = record.attributes
    assert attributes["request_id"] == "r1" and "request_id.offered" not in attributes
    assert attributes["code.file.path"].endswith("test_loguru.py")
    assert attributes["code.function.name"] == "test_a_line_leaves_with_its_level_place_trace_and_request"
    assert attributes["code.line.number"] > 0
    assert exported.get_finished_logs()[0].instrumentation_scope.name == __name__
    assert not guard.faults


def test_the_application_may_say_which_request(exported: Memory, in_request: request.Request) -> None:
    with logger.contextualize(request_id="bound"):
        logger.info("x")
    in_request.rename("renamed")
    logger.bind(thing=object()).info("y")
    assert [record.attributes["request_id"] for record in exported.records] == ["bound", "renamed"]
    assert exported.records[1].attributes["request_id.offered"] == "r1"
    assert "thing" not in exported.records[1].attributes


def test_outside_of_a_request(exported: Memory) -> None:
    logger.info("x")
    assert "request_id" not in exported.records[0].attributes and not exported.records[0].trace_id


def test_an_exception_has_its_class(exported: Memory) -> None:
    try:
        raise ValueError("what was said")
    except ValueError:
        logger.exception("failed")
    (record,) = exported.records
    assert record.attributes["exception.type"] == "ValueError" and record.severity_text == "ERROR"


def test_nothing_is_logged_that_was_not_before(exported: Memory) -> None:
    asked: list[int] = []
    logger.opt(lazy=True).debug("{}", lambda: asked.append(1))
    assert not asked and not exported.records
    low = logger.add(lambda _: None, level="TRACE")
    logger.trace("now")
    assert exported.bodies() == ["now"] and sinks() == [5]
    logger.remove(low)
    assert sinks() == [20]
    logger.remove()
    assert sinks() == [] and not logger._core.handlers
    logger.critical("to nobody")
    assert exported.bodies() == ["now"]


def test_the_sink_survives_that_all_are_replaced(exported: Memory) -> None:
    logger.remove()
    logger.add(lambda _: None, level="DEBUG")
    assert sinks() == [10]
    logger.configure(handlers=[{"sink": lambda _: None, "level": "WARNING"}])
    assert sinks() == [30]
    logger.info("no")
    logger.warning("yes")
    assert exported.bodies() == ["yes"]


def test_the_logger_pickles_as_before(exported: Memory) -> None:
    logger.remove()
    logger.add(print)
    assert pickle.loads(pickle.dumps(logger)) is not None
    copied = copy.deepcopy(logger)
    copied.remove()
    assert sinks() == [10]


class Intercept(logging.Handler):
    """The recipe of loguru's documentation: lines of the logging module go on to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())


class Propagate(logging.Handler):
    """And the other way round."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


@pytest.fixture
def root(exported: Memory, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger with the exporting handler, as the launcher leaves it."""
    log_lines.instrument()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exported))
    logger = logging.getLogger()
    handler, before = LoggingHandler(logger_provider=provider), logger.handlers[:]
    logger.addHandler(handler)
    yield logger
    logger.handlers[:] = before
    log_lines.uninstrument()


def test_a_line_that_comes_from_the_logging_module_leaves_once(exported: Memory, root: logging.Logger) -> None:
    root.addHandler(Intercept())
    logging.getLogger("shop").warning("once")
    logger.warning("own")
    assert exported.bodies() == ["once", "own"]


def test_it_leaves_by_loguru_where_the_exporting_handler_is_gone(exported: Memory, root: logging.Logger) -> None:
    root.handlers[:] = [Intercept()]
    logging.getLogger("shop").warning("once")
    assert exported.bodies() == ["once"]


@pytest.mark.parametrize("first", [True, False])
def test_a_line_that_goes_on_to_the_logging_module_leaves_once(
    exported: Memory, root: logging.Logger, first: bool
) -> None:
    logger.remove()
    if not first:
        logger.add(lambda _: None)
    logger.add(Propagate(), format="{message}")
    logger.warning("once")
    logging.getLogger("shop").warning("own", extra={"extra": {"of": "its own"}})
    assert exported.bodies() == ["once", "own"]


def test_a_line_of_the_sdk_while_it_exports_is_no_trouble(
    exported: Memory, root: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root.handlers[:] = [Intercept()]
    send = loguru._facts

    def warn(record: Any) -> Any:
        logging.getLogger("opentelemetry.sdk").warning("queue full")
        return send(record)

    monkeypatch.setattr(loguru, "_facts", warn)
    logger.warning("x")
    assert exported.bodies() == ["x"]
    assert "Logging error in Loguru" not in capsys.readouterr().err


def test_it_is_taken_off(exported: Memory) -> None:
    add = type(logger).add
    loguru.uninstrument()
    assert sinks() == [] and type(logger).add is not add
    logger.warning("x")
    assert exported.bodies() == []
    loguru.instrument()
    assert sinks() == [20]

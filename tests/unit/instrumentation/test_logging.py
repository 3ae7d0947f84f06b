# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_tts import guard
from otel_tts.instrumentation.libraries import logging as log_lines
from otel_tts.recording import request

SPAN = NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(1)))


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    log_lines.instrument()
    log_lines.instrument()
    logger = logging.getLogger("test.lines")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()
    logging.setLogRecordFactory(logging.LogRecord)
    log_lines.uninstrument()


@pytest.fixture
def in_request() -> Iterator[None]:
    token = request.current.set(request.Request("r1", 0))
    with trace.use_span(SPAN):
        yield
    request.current.reset(token)


def line(logger: logging.Logger, **extra: Any) -> logging.LogRecord:
    kept = Kept()
    logger.addHandler(kept)
    logger.info("text", extra=extra)
    logger.removeHandler(kept)
    return kept.records[0]


def test_a_line_says_its_request(logger: logging.Logger, in_request: None) -> None:
    formatter = logging.Formatter("%(message)s %(request_id)s %(trace_id)s")
    assert formatter.format(line(logger)) == f"text r1 {0xABC:032x}"


def test_a_line_outside_of_requests_can_be_formatted_too(logger: logging.Logger) -> None:
    assert logging.Formatter("%(request_id)s %(trace_id)s").format(line(logger)) == "- -"


def test_what_the_application_says_itself_stays(logger: logging.Logger, in_request: None) -> None:
    record: Any = line(logger, request_id="mine", trace_id="mine too")
    assert (record.request_id, record.trace_id) == ("mine", "mine too")


def test_a_record_factory_of_the_application_goes_on_working(logger: logging.Logger, in_request: None) -> None:
    class Own(logging.LogRecord):
        own = True

    logging.setLogRecordFactory(Own)
    record: Any = line(logger)
    assert record.own and record.request_id == "r1"


def test_the_caller_is_still_the_caller(logger: logging.Logger) -> None:
    assert line(logger).funcName == "line"


def test_a_fault_here_does_not_reach_the_application(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(log_lines, "current_context", fail)
    assert line(logger).getMessage() == "text"
    monkeypatch.undo()
    assert guard.faults["logging"] >= 1  # the line that tells of it is one too


def test_an_exported_line_has_its_request_and_no_second_trace_id(logger: logging.Logger, in_request: None) -> None:
    memory, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger.addHandler(LoggingHandler(logger_provider=provider))
    kept = Kept()
    logger.addHandler(kept)

    logger.info("in a request")
    token = request.current.set(None)
    logger.info("outside")
    request.current.reset(token)

    inside, outside = (dict(found.log_record.attributes or {}) for found in memory.get_finished_logs())
    assert inside == {"request_id": "r1"}
    assert outside == {}
    assert memory.get_finished_logs()[0].log_record.trace_id == 0xABC
    assert kept.records[0].__dict__["trace_id"] == f"{0xABC:032x}"  # handlers after it see the whole record


def test_it_can_be_undone(logger: logging.Logger) -> None:
    log_lines.uninstrument()
    assert "request_id" not in line(logger).__dict__


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a", True), (1, True), (None, True), ([1, "a"], True), ({"a": [1.5]}, True),
        (object(), False), ([object()], False), ({1: "a"}, False), ({"a": {"b": object()}}, False), ({1, 2}, False),
    ],
)  # fmt: skip
def test_only_what_can_be_an_attribute_is_exported(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture, value: Any, kept: bool
) -> None:
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    handler = LoggingHandler(logger_provider=provider)
    logger.addHandler(handler)
    told = line(logger, request=value)
    logger.removeHandler(handler)
    assert told.request is value  # type: ignore[attr-defined]  # the application's own record is as it was
    (exported,) = memory.get_finished_logs()
    assert ("request" in exported.log_record.attributes) is kept
    assert "Invalid type" not in caplog.text

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Lines that go straight into the queues are those that the logger would put there; where they may not, it does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs._internal import _disable_logger_configurator
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_tts.otel_private.lines import Handover
from otel_tts.privacy import gate
from otel_tts.privacy.policy import Policy

INSIDE = set_span_in_context(NonRecordingSpan(SpanContext(5, 6, False, TraceFlags(1))), Context())
RESOURCE = Resource({"service.name": "lines"})


def line(attributes: dict[str, Any] | None = None, body: str = "REQ_START request_id=r", **more: Any) -> LogRecord:
    return LogRecord(
        timestamp=10, observed_timestamp=11, context=INSIDE, severity_number=SeverityNumber.WARN, severity_text="WARN",
        body=body, event_name="REQ_START", attributes={"request_id": "r"} if attributes is None else attributes, **more,
    )  # fmt: skip


class Told(LogRecordProcessor):
    """A user's processor: it sees what may still be changed, and changes it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.seen.append(log_record)
        log_record.log_record.attributes["told"] = True

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


class World:
    """A logger with one processor for each of `kinds`, and what its exporters got."""

    def __init__(self, *kinds: Any, **options: Any) -> None:
        self.provider = LoggerProvider(RESOURCE, shutdown_on_exit=False, **options)
        self.memories = [InMemoryLogRecordExporter() for _ in kinds]
        for kind, memory in zip(kinds, self.memories, strict=True):
            self.provider.add_log_record_processor(kind(memory))
        self.logger: Any = self.provider.get_logger("otel_tts", "1", "https://s", {"a": 1})
        self.through_logger: list[LogRecord] = []
        emit = self.logger.emit
        self.logger.emit = lambda one: (self.through_logger.append(one), emit(one))
        self.lines = Handover(self.logger)

    def exported(self, number: int = 0) -> list[ReadableLogRecord]:
        self.provider.force_flush()
        return list(self.memories[number].get_finished_logs())

    def close(self) -> None:
        self.provider.shutdown()


@pytest.fixture
def made():
    worlds: list[World] = []

    def make(*kinds: Any, **options: Any) -> World:
        worlds.append(World(*(kinds or (BatchLogRecordProcessor,)), **options))
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()


@pytest.fixture(scope="module")
def both():
    straight, through = World(BatchLogRecordProcessor), World(BatchLogRecordProcessor)
    through.lines._queues = ()
    assert straight.lines._queues
    yield straight, through
    straight.close()
    through.close()


names = st.sampled_from(["request_id", "tts.voice", "k", "", "键"])
values = st.one_of(
    st.text(), st.booleans(), st.integers(), st.floats(), st.none(), st.binary(), st.lists(st.text()).map(tuple),
    st.lists(st.integers()), st.just(object()), st.dictionaries(names, st.text()),
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, values), st.text())
@pytest.mark.filterwarnings("ignore")
def test_both_ways_leave_the_same_bytes(both, attributes: dict[str, Any], body: str) -> None:
    left: list[bytes] = []
    for here in both:
        here.lines.emit(line(dict(attributes), body))
        left.append(encode_logs(here.exported()).SerializeToString())
        here.memories[0].clear()
    assert left[0] == left[1]


def test_a_line_goes_straight_where_only_batch_processors_listen(made) -> None:
    here = made(BatchLogRecordProcessor, BatchLogRecordProcessor)
    here.lines.emit(line())
    assert not here.through_logger
    (one,), (other,) = here.exported(0), here.exported(1)
    assert (one.log_record.trace_id, one.log_record.span_id, one.log_record.trace_flags) == (5, 6, 1)
    assert one.log_record is not other.log_record and one.log_record.context == Context()
    assert one.resource is RESOURCE and one.instrumentation_scope.name == "otel_tts"
    assert type(one) is ReadableLogRecord and one.limits is here.logger._log_record_limits


def test_an_exporter_that_changes_a_line_changes_it_for_nobody_else(made) -> None:
    class Changes(LogRecordExporter):
        def export(self, batch) -> LogRecordExportResult:
            for one in batch:
                one.log_record.body = "changed"
            return LogRecordExportResult.SUCCESS

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return True

    here = made(lambda _: BatchLogRecordProcessor(Changes()), BatchLogRecordProcessor)
    here.lines.emit(line())
    assert here.exported(1)[0].log_record.body == "REQ_START request_id=r"


@pytest.mark.parametrize("kind", [SimpleLogRecordProcessor, lambda _: Told()])
def test_who_sees_lines_before_their_queue_gets_them_from_the_logger(made, kind) -> None:
    here = made(kind, BatchLogRecordProcessor)
    here.lines.emit(line())
    assert len(here.through_logger) == 1 and len(here.exported(1)) == 1


def test_a_processor_that_is_added_later_is_told(made) -> None:
    here, told = made(), Told()
    here.lines.emit(line())
    here.provider.add_log_record_processor(told)
    here.lines.look_at_processors()
    here.lines.emit(line())
    assert len(told.seen) == 1 and len(here.exported()) == 2


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
def test_limits_are_kept(made) -> None:
    here = made(log_record_limits=LogRecordLimits(max_log_record_attributes=1))
    here.lines.emit(line({"a": 1, "b": 2}))
    here.lines.emit(line({"a": 1}))
    first, second = here.exported()
    assert (len(here.through_logger), first.dropped_attributes, second.dropped_attributes) == (1, 1, 0)
    short = made(log_record_limits=LogRecordLimits(max_log_record_attribute_length=2))
    short.lines.emit(line({"a": "long"}))
    assert short.exported()[0].log_record.attributes == {"a": "lo"}


def test_a_logger_that_is_switched_off_leaves_nothing(made) -> None:
    here = made(_logger_configurator=_disable_logger_configurator)
    here.lines.emit(line())
    assert here.exported() == []


def test_where_the_sdk_counts_lines_they_go_through_it(made, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    here = made()
    here.lines.emit(line())
    assert len(here.through_logger) == len(here.exported()) == 1


@pytest.mark.parametrize("gone", ["_log_record_limits", "_is_enabled", "_multi_log_record_processor"])
def test_without_a_private_name_lines_go_through_the_logger(gone: str) -> None:
    seen: list[Any] = []
    whole = World(BatchLogRecordProcessor)
    kept = ("_log_record_limits", "_is_enabled", "_multi_log_record_processor")
    parts = {name: getattr(whole.logger, name) for name in kept if name != gone}
    Handover(SimpleNamespace(emit=seen.append, **parts)).emit(line())
    whole.close()
    assert len(seen) == 1


def test_nobody_listens(made) -> None:
    here = World()
    here.lines.emit(line())
    assert len(here.through_logger) == 1
    here.close()


def test_the_gate_cleans_what_went_straight(made) -> None:
    here = made()
    assert gate.install(None, None, here.provider, Policy()) == ["InMemoryLogRecordExporter"]
    here.lines.emit(line({"request_id": "r", "secret": "what was said"}, "what was said"))
    (one,) = here.exported()
    assert not here.through_logger
    assert dict(one.log_record.attributes) == {"request_id": "r"} and "said" not in str(one.log_record.body)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Pins what the SDK's private names do, and what happens where one is gone."""

from __future__ import annotations

import inspect
import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider

from otel_tts.otel_private import providers
from otel_tts.privacy import gate
from otel_tts.privacy.policy import Policy
from tests.unit.support.gate_kit import counting


@pytest.fixture(autouse=True)
def told_nothing() -> Iterator[None]:
    providers._told.clear()
    yield
    providers._told.clear()


@pytest.fixture
def tracers() -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider
    provider.shutdown()


# --- what the SDK does -----------------------------------------------------------------------------------------------


def test_processors_are_listed_in_their_order_and_nested_ones_too(tracers: TracerProvider) -> None:
    batch, simple, inner = BatchSpanProcessor(InMemorySpanExporter()), SpanProcessor(), SpanProcessor()
    for nested in (SynchronousMultiSpanProcessor(), ConcurrentMultiSpanProcessor()):
        nested.add_span_processor(inner)
        tracers.add_span_processor(nested)
    tracers.add_span_processor(batch)
    tracers.add_span_processor(simple)
    assert providers.span_processors(tracers) == (inner, inner, batch, simple)
    loggers = LoggerProvider(shutdown_on_exit=False)
    log = SimpleLogRecordProcessor(InMemoryLogRecordExporter())
    loggers.add_log_record_processor(log)
    assert providers.log_processors(loggers) == (log,)


def test_other_providers_have_no_processors() -> None:
    for provider in (NoOpTracerProvider(), None, object()):
        assert providers.span_processors(provider) == ()
        assert providers.log_processors(provider) == ()
        assert providers.metric_readers(provider) == ()
        assert not providers.is_opaque(provider)


def test_the_exporter_of_every_processor_can_be_replaced_and_is_then_used(tracers: TracerProvider) -> None:
    for kind in (BatchSpanProcessor, SimpleSpanProcessor):
        old, new = InMemorySpanExporter(), InMemorySpanExporter()
        processor = kind(old)
        tracers.add_span_processor(processor)
        assert providers.exporter_of(processor) is old
        assert providers.replace_exporter(processor, new)
        assert processor.span_exporter is new
        tracers.get_tracer("app").start_span("work", Context()).end()
        processor.force_flush()
        assert not old.get_finished_spans() and new.get_finished_spans()
    loggers = LoggerProvider(shutdown_on_exit=False)
    for kind in (BatchLogRecordProcessor, SimpleLogRecordProcessor):
        old, new = InMemoryLogRecordExporter(), InMemoryLogRecordExporter()
        processor = kind(old)
        loggers.add_log_record_processor(processor)
        assert providers.exporter_of(processor) is old
        assert providers.replace_exporter(processor, new)
        loggers.get_logger("app").emit(body="x")
        processor.force_flush()
        assert not old.get_finished_logs() and new.get_finished_logs()
    loggers.shutdown()


def test_a_processor_without_an_exporter_has_none() -> None:
    assert providers.exporter_of(SpanProcessor()) is None
    assert not providers.replace_exporter(SpanProcessor(), InMemorySpanExporter())


def test_the_batch_processor_asks_the_signature_of_shutdown() -> None:
    assert "getfullargspec(self._exporter.shutdown)" in inspect.getsource(BatchProcessor.shutdown)


def test_readers_are_listed_also_when_added_later_and_receive_through_one_method() -> None:
    push, pull = PeriodicExportingMetricReader(ConsoleMetricExporter(), float("inf")), InMemoryMetricReader()
    provider = MeterProvider([push], shutdown_on_exit=False)
    provider.add_metric_reader(pull)
    assert providers.metric_readers(provider) == (push, pull)
    assert isinstance(providers.exporter_of(push), ConsoleMetricExporter)
    received: list[Any] = []
    for reader in (push, pull):
        assert providers.replace_receiver(reader, lambda data, timeout_millis, **_: received.append(data))
    provider.get_meter("app").create_counter("said").add(1)
    MetricReader.collect(push)
    assert pull.get_metrics_data() is None
    assert len(received) == 2
    provider.shutdown()


# --- fork ------------------------------------------------------------------------------------------------------------


forks = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def _sum(reader: InMemoryMetricReader) -> Any:
    data = reader.get_metrics_data()
    if data is None:
        return None
    return data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].value


def _in_child(work: Any) -> bytes:
    """Fork, run `work` in the child, and return what it answered."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    try:
        return os.read(read, 1000)
    finally:
        os.close(read)
        os.waitpid(pid, 0)


@forks
def test_a_forked_child_counts_from_zero() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("app").create_counter("said")
    counter.add(5)

    def child(reset: bool) -> Any:
        if reset:
            assert providers.reset_metric_state_after_fork(provider)
        counter.add(1)
        return _sum(reader)

    assert _in_child(lambda: child(False)) == b"6", "what upstream does; when it is 1 the reset is not needed any more"
    assert _in_child(lambda: child(True)) == b"1"
    assert _sum(reader) == 5


@forks
def test_a_forked_child_has_locks_of_its_own() -> None:
    reader = PeriodicExportingMetricReader(ConsoleMetricExporter(out=io.StringIO()), float("inf"))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("app")
    counter = meter.create_counter("said")
    counter.add(5)
    consumer: Any = provider._measurement_consumer
    locks = [
        consumer._lock,
        consumer._reader_storages[reader]._lock,
        reader._export_lock,
        meter._instrument_registration_lock,
    ]  # type: ignore[attr-defined]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        held.set()
        done.wait()
        for lock in locks:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()

    def child() -> str:
        providers.reset_metric_state_after_fork(provider)
        meter.create_counter("more").add(1)
        counter.add(1)
        reader.collect()
        return "done"

    assert _in_child(child) == b"done"
    done.set()
    holder.join()
    provider.shutdown()


def test_observed_and_gauge_values_are_there_after_a_reset() -> None:
    from opentelemetry.metrics import Observation

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("app").create_observable_gauge("level", [lambda _: [Observation(3)]])
    assert _sum(reader) == 3
    assert providers.reset_metric_state_after_fork(provider)
    assert _sum(reader) == 3


# --- a name is gone --------------------------------------------------------------------------------------------------


def _lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "no longer has" in record.getMessage()]


def test_without_the_list_of_processors_the_provider_is_shut_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, name, processor in (
        (TracerProvider, "add_span_processor", SimpleSpanProcessor(InMemorySpanExporter())),
        (LoggerProvider, "add_log_record_processor", SimpleLogRecordProcessor(InMemoryLogRecordExporter())),
    ):
        provider = kind(shutdown_on_exit=False)
        getattr(provider, name)(processor)
        shut: list[Any] = []
        monkeypatch.setattr(provider, "shutdown", lambda shut=shut: shut.append(1))
        for inner in ("_active_span_processor", "_multi_log_record_processor"):
            if hasattr(provider, inner):
                delattr(provider, inner)
        gate.install(provider, None, provider, counting(Policy()))
        assert shut
    assert len(_lost(caplog)) == 2


def test_without_the_readers_the_meter_provider_is_shut_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    shut: list[Any] = []
    monkeypatch.setattr(provider, "shutdown", lambda: shut.append(1))
    del provider._measurement_consumer
    gate.install(None, provider, None, counting(Policy()))
    assert shut
    assert not providers.reset_metric_state_after_fork(provider)
    assert len(_lost(caplog)) == 2


def test_a_processor_whose_exporter_cannot_be_reached_is_shut_down(
    tracers: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    memory = InMemorySpanExporter()
    processor = SimpleSpanProcessor(memory)
    tracers.add_span_processor(processor)
    del processor.span_exporter
    processor.hidden = memory  # type: ignore[attr-defined]
    processor.shutdown = lambda: setattr(processor, "_shutdown", True)  # type: ignore[method-assign]
    assert gate.install(tracers, None, None, counting(Policy())) == []
    assert processor._shutdown
    assert len(_lost(caplog)) == 1


def test_without_the_storage_of_readers_counts_are_copied_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    del provider._measurement_consumer._reader_storages[reader]._instrument_view_instrument_matches  # type: ignore[attr-defined]
    assert not providers.reset_metric_state_after_fork(provider)
    assert not providers.reset_metric_state_after_fork(object())
    assert len(_lost(caplog)) == 1


def test_a_loss_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert not providers.reset_metric_state_after_fork(MeterProvider.__new__(MeterProvider))
    assert len(_lost(caplog)) == 1

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A whole process's telemetry in memory: SDK providers, a recorder without a thread, ids that count up, a set clock."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from otel_tts import instrumentation, record, recording
from otel_tts.emit import emitter
from otel_tts.emit.emitter import Emitter
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.synthesis import Synthesis
from otel_tts.settings import Settings

EPOCH = 1_700_000_000_000_000_000
"""The time of day at which the set clock starts, ns."""


class CountingIds(IdGenerator):
    """Trace ids 1, 2, 3, … and span ids 1, 2, 3, …"""

    def __init__(self) -> None:
        self._traces, self._spans = itertools.count(1), itertools.count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)


class Foreign(SpanProcessor):
    """Somebody else's processor with an ``on_start``: spans have to be made through the SDK."""

    def __init__(self) -> None:
        self.started: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started.append((span.name, parent_context))


def _modules_on_the_path() -> list[Any]:
    """Every module of the request's path: all are imported first, so that none binds a test's clock for good."""
    found = [record]
    for package in (recording, instrumentation):
        walked = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        found += [importlib.import_module(module.name) for module in walked]
    return found


_REAL = record.now
_ON_THE_PATH = _modules_on_the_path()


def put_clock(monkeypatch: pytest.MonkeyPatch, read: Callable[[], int]) -> None:
    """Let every module that has bound the host's clock read this one instead."""
    for module in _ON_THE_PATH:
        if getattr(module, "now", None) is _REAL:
            monkeypatch.setattr(module, "now", read)


class SetClock:
    """Host clock and time of day that move only when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ns = 5_000_000_000
        self._start = self.ns
        read = self.read
        put_clock(monkeypatch, read)
        monkeypatch.setattr(time, "perf_counter_ns", read)
        monkeypatch.setattr(time, "time_ns", lambda: EPOCH + self.ns - self._start)

    def read(self) -> int:
        return self.ns

    def tick(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


class World:
    """The recorder under test and all that it emitted."""

    def __init__(
        self,
        *,
        sampler: Any = None,
        processors: tuple[SpanProcessor, ...] = (),
        limits: Any = None,
        interval: float | None = None,
        tracer_provider: Any = None,
        span_processor: SpanProcessor | None = None,
        configurator: Any = None,
        **settings: Any,
    ) -> None:
        self.span_memory, self.log_memory = InMemorySpanExporter(), InMemoryLogRecordExporter()
        self.reader = InMemoryMetricReader()
        self.tracers: Any = tracer_provider or TracerProvider(
            sampler=sampler or ParentBased(ALWAYS_ON), id_generator=CountingIds(), span_limits=limits,
            shutdown_on_exit=False, _tracer_configurator=configurator,
        )  # fmt: skip
        if isinstance(self.tracers, TracerProvider):
            for processor in (*processors, span_processor or SimpleSpanProcessor(self.span_memory)):
                self.tracers.add_span_processor(processor)
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.log_memory))
        self.settings = Settings(**{"log_format": "none", "clock": "host", **settings})
        self.recorder = Recorder(self.tracers, self.settings)
        self.emitter = Emitter(self.recorder, self.tracers, self.meters, self.loggers, interval=interval)
        emitter.install(self.emitter)

    def close(self) -> None:
        emitter.uninstall()
        self.emitter.close(timeout=5)
        self.recorder.open.clear()  # what tests left open on purpose; the hooks for forks keep the recorder for ever
        self.meters.shutdown()

    def synthesis(self, **attributes: Any) -> Synthesis:
        """A synthesis with the given attributes (dots written as two underscores)."""
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        return Synthesis(self.recorder, {"request_id": "r", "tts.engine.name": "e", **named})

    def drain(self) -> World:
        assert self.emitter.drain()
        self.emitter.files.wait(10)
        assert self.emitter.drain()
        return self

    @property
    def spans(self) -> list[ReadableSpan]:
        """What was exported up to now, in that order."""
        return list(self.span_memory.get_finished_spans())

    def span(self, name: str) -> Any:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def shown_spans(self) -> list[dict[str, Any]]:
        return [shown(span) for span in self.spans]

    def points(self, metric: str) -> dict[tuple[str, ...], Any]:
        """Points of one metric: label values, in the order of their keys, to the sum or value; nothing where none."""
        return {
            tuple(str(value) for _, value in sorted(point.attributes.items())): _value(point)
            for point in self.raw_points(metric)
        }

    def raw_points(self, metric: str) -> list[Any]:
        return [point for name, point in self._all_points() if name == metric]

    def all_points(self) -> dict[str, dict[str, Any]]:
        """Every point: metric name to labels, as ``key=value key=value``, to (count, sum) or the value."""
        found: dict[str, dict[str, Any]] = {}
        for name, point in self._all_points():
            labels = " ".join(f"{key}={value}" for key, value in sorted(point.attributes.items()))
            found.setdefault(name, {})[labels] = _value(point)
        return found

    def _all_points(self) -> Iterator[tuple[str, Any]]:
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        yield metric.name, point

    @property
    def records(self) -> list[Any]:
        return [data.log_record for data in self.log_memory.get_finished_logs()]

    def lines(self) -> list[str]:
        """Log lines: severity and body."""
        return [f"{record.severity_text} {record.body}" for record in self.records]


def _value(point: Any) -> Any:
    if hasattr(point, "bucket_counts"):
        return point.count, round(point.sum, 6)
    return round(point.value, 6) if isinstance(point.value, float) else point.value


def shown(span: ReadableSpan) -> dict[str, Any]:
    """A span as plain values: ids as numbers, times in ms since the clock's start; empty parts left out."""
    context = span.get_span_context()
    assert context is not None and span.start_time is not None and span.end_time is not None
    parts: dict[str, Any] = {
        "name": span.name,
        "ids": (context.trace_id, context.span_id),
        "parent": span.parent.span_id if span.parent is not None else None,
        "ms": (_ms(span.start_time), _ms(span.end_time)),
        "attributes": dict(span.attributes or {}),
        "events": [(event.name, _ms(event.timestamp), dict(event.attributes or {})) for event in span.events],
        "links": [(link.context.span_id, dict(link.attributes or {})) for link in span.links],
        "status": None if span.status.is_unset else (span.status.status_code.name, span.status.description),
    }
    return {key: value for key, value in parts.items() if key in ("parent", "attributes") or value}


def _ms(stamp: int) -> float:
    return (stamp - EPOCH) / 1e6


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    """`world(sampler=…, max_stage_spans=…)` makes a World; all are closed in the end."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    return SetClock(monkeypatch)

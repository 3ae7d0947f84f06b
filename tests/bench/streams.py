# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a stream costs per chunk, in one process: ``python -m tests.bench.streams ROUNDS`` answers with JSON.

The generator yields slices of 480 samples of one array, as an engine with a small output buffer would; the bare wrapper
around it reads the clock twice a step and adds up. A chunk's cost is that of a stream of many less that of one of few,
divided by the difference: what a request costs at its two ends is not its chunks'. In the main comparison the array is
one second of sound, so that its samples are in the processor's cache as they are when an engine has just made them;
``cold`` goes through twenty seconds, each sample read for the first time.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_tts
from tests.bench.inside import Kept

CHUNK, FEW, CHUNKS, RATE = 480, 10, 1000, 24000

Stream = Callable[[int], Generator[Any, None, None]]

now = time.perf_counter_ns


def _sound(seconds: float) -> Any:
    return (np.random.default_rng(0).standard_normal(int(seconds * RATE)) * 0.1).astype(np.float32)


def _source(sound: Any) -> Stream:
    length = len(sound)

    def slices(chunks: int) -> Generator[Any, None, None]:
        start = 0
        for _ in range(chunks):
            yield sound[start : start + CHUNK]
            start = (start + CHUNK) % length

    return slices


def _bare(source: Stream) -> Stream:
    def wrapper(chunks: int) -> Generator[Any, None, None]:
        busy = 0
        steps = source(chunks)
        while True:
            began = now()
            try:
                chunk = next(steps)
            except StopIteration:
                return
            busy += now() - began
            yield chunk

    return wrapper


def _plain(source: Stream) -> Stream:
    return otel_tts.synthesis("m", engine="e")(source)


def _with_samples(source: Stream) -> Stream:
    return otel_tts.synthesis("m", engine="e", sample_rate=RATE)(source)


def _time(stream: Stream, chunks: int) -> int:
    began = time.thread_time_ns()
    for _ in stream(chunks):
        pass
    return time.thread_time_ns() - began


def _per_chunk(stream: Stream) -> float:
    return (_time(stream, CHUNKS) - _time(stream, FEW)) / (CHUNKS - FEW)


class _Telemetry:
    """Providers that keep what they are given, and otel-tts before them."""

    def __init__(self) -> None:
        self._spans, self._logs, self._metrics = (
            InMemorySpanExporter(),
            InMemoryLogRecordExporter(),
            InMemoryMetricReader(),
        )
        tracers, loggers = TracerProvider(), LoggerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        meters = MeterProvider(metric_readers=[self._metrics])
        self._kept = Kept(tracers, meters, loggers)
        self._kept.install()

    def count(self, stream: Stream, chunks: int) -> dict[str, int]:
        """What one stream leaves: spans, events, points recorded, log records."""
        self.drain()
        before = self._points()
        _time(stream, chunks)
        self._kept.drain()
        spans, logs = self._spans.get_finished_spans(), self._logs.get_finished_logs()
        return {
            "spans": len(spans),
            "events": sum(len(span.events) for span in spans),
            "points": self._points() - before,
            "log records": len(logs),
        }

    def drain(self) -> float:
        """Empty everything; return the CPU seconds it took to turn what waited into telemetry."""
        cpu = time.process_time()
        self._kept.drain()
        cpu = time.process_time() - cpu
        self._spans.clear()
        self._logs.clear()
        return cpu

    def _points(self) -> int:
        data: Any = self._metrics.get_metrics_data()
        points = (
            point
            for part in (data.resource_metrics if data else ())
            for scope in part.scope_metrics
            for metric in scope.metrics
            if type(metric.data).__name__ == "Histogram" or metric.name == "tts.requests"
            for point in metric.data.data_points
        )
        return sum(int(getattr(point, "count", None) or point.value) for point in points)


def measure(rounds: int) -> dict[str, Any]:
    """Time the wrappers in turn."""
    kept = _Telemetry()
    warm, cold = _source(_sound(1)), _source(_sound(CHUNKS * CHUNK / RATE))
    streams = {
        "source": warm, "bare": _bare(warm), "plain": _plain(warm), "samples": _with_samples(warm),
        "cold bare": _bare(cold), "cold samples": _with_samples(cold),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in streams}
    off: list[float] = []
    for stream in streams.values():
        _time(stream, CHUNKS)
        kept.drain()
    for _ in range(rounds):
        for name, stream in streams.items():
            times[name].append(_per_chunk(stream))
            spent = kept.drain()
            if name == "samples":
                off.append(spent)
    return {
        "ns": {name: statistics.median(found) for name, found in times.items()},
        "ratio": {
            name: statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))
            for name, base in (("plain", "bare"), ("samples", "bare"), ("cold samples", "cold bare"))
        },
        "off_path_ms": statistics.median(off) * 1e3,
        "few": kept.count(streams["samples"], FEW),
        "many": kept.count(streams["samples"], CHUNKS),
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))), flush=True)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Single costs, in one process: ``python -m tests.bench.pieces`` answers with JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.bench import inside
from tests.bench.content import VOICE
from tests.bench.ours import request_maker

_RECORDS = 1000
_SECONDS = 5


def measure() -> dict[str, float]:
    """Measure all of them."""
    spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    kept = inside.Kept(tracers, MeterProvider(), loggers, voices=(VOICE,))
    kept.install()
    request = request_maker()
    return {
        "record_kb": _memory(request, kept),
        **_gate(request, kept, spans, logs),
        "edge_us": asyncio.run(_edge()),
        **_audio(),
    }


def _memory(request: Callable[[], None], kept: inside.Kept) -> float:
    request()
    kept.drain()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(_RECORDS):
        request()
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    kept.drain()
    return size / _RECORDS / 1024


def _gate(
    request: Callable[[], None], kept: inside.Kept, spans: InMemorySpanExporter, logs: InMemoryLogRecordExporter
) -> dict[str, float]:
    spans.clear()
    logs.clear()
    for _ in range(100):
        request()
    kept.drain()
    cleaner = inside.cleaner((VOICE,))
    given, lines = spans.get_finished_spans(), logs.get_finished_logs()
    return {
        "gate_span_us": _repeat(lambda: cleaner.clean_all(given, cleaner.span)) / len(given),
        "gate_log_us": _repeat(lambda: cleaner.clean_all(lines, cleaner.log)) / len(lines),
    }


async def _edge() -> float:
    """What the edge adds to a request of a Starlette app, without a server and without spans."""

    async def answer(_: Any) -> Response:
        return Response(b"ok")

    app = Starlette(routes=[Route("/", answer)])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    async def ask() -> float:
        began = time.perf_counter()
        for _ in range(200):
            scope = {
                "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [],
                "root_path": "", "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"},
                "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
            }  # fmt: skip
            await app(scope, receive, send)
        return (time.perf_counter() - began) / 200 * 1e6

    edge = inside.web_edge()
    pairs: list[float] = []
    for _ in range(15):
        edge.uninstrument()
        without = await ask()
        edge.instrument()
        pairs.append(await ask() - without)
    edge.uninstrument()
    return statistics.median(pairs)


def _audio() -> dict[str, float]:
    sound = (np.random.default_rng(0).standard_normal(_SECONDS * 24000) * 0.1).astype(np.float32)
    on: list[float] = []
    off: list[float] = []
    for _ in range(150):
        kept = inside.sound(24000)
        began = time.perf_counter()
        kept.add(sound)
        on.append((time.perf_counter() - began) * 1e6)
        began = time.perf_counter()
        kept.facts()
        off.append((time.perf_counter() - began) * 1e3)
    return {"audio_path_us": statistics.median(on), "audio_off_ms": statistics.median(off), "audio_s": _SECONDS}


def _repeat(call: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(30):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


if __name__ == "__main__":
    print(json.dumps(measure()), flush=True)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the edge of a WSGI application costs on the request's path: ``python -m tests.bench.wsgi_cost ROUNDS``.

As `edge_cost` measures that of ASGI, against OpenTelemetry's WSGI middleware around the same application. Both without
a connection: what the kernel is asked on it (when the request came, whether its client has left) comes to it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from tests.bench import inside
from tests.bench.edge_cost import CALLER, HEADERS, REQUESTS
from tests.bench.stage_cost import SpanQueue

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def answers(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """An application that answers at once; `Flask` is what the edge is put on."""
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def measure(rounds: int) -> dict[str, Any]:
    """Return µs a request for each way, and its ratio to OpenTelemetry's."""
    compared = ways()
    times: dict[str, list[float]] = {way: [] for way in compared}
    for number in range(rounds + 2):
        for way, (app, before, after) in compared.items():
            before()
            times[way].append(_per_request(app))
            after()
        if number < 2:
            for found in times.values():
                found.clear()
    added = {way: [a - b for a, b in zip(found, times["bare"], strict=True)] for way, found in times.items()}
    return {
        "us": {way: statistics.median(found) for way, found in added.items()},
        "ratio": {
            way: statistics.median(a / b for a, b in zip(found, added["contrib"], strict=True))
            for way, found in added.items()
        },
    }


def ways() -> dict[str, tuple[Application, Callable[[], object], Callable[[], object]]]:
    """All that is compared: the application, what puts the way in force, and what empties its queues."""
    edge, queue = inside.web_edge(), SpanQueue()
    provider, own = TracerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)
    for each in (provider, own):
        each.add_span_processor(queue)
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    contrib = OpenTelemetryMiddleware(answers, tracer_provider=provider, meter_provider=meters)
    kept = inside.Kept(own, NoOpMeterProvider(), LoggerProvider(shutdown_on_exit=False), queue_size=100_000)
    kept.install()

    def put_in(spans: bool) -> Callable[[], None]:
        def do() -> None:
            inside.make_server_spans(spans)
            edge.instrument()

        return do

    def empty() -> None:
        kept.drain()
        queue.spans.clear()

    app = Flask(__name__)
    app.wsgi_app = answers
    return {
        "bare": (app, edge.uninstrument, empty),
        "contrib": (contrib, edge.uninstrument, empty),
        "server span": (app, put_in(True), empty),
        "no server span": (app, put_in(False), empty),
    }


def _per_request(app: Application) -> float:
    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        return None

    began = time.thread_time_ns()
    for _ in range(REQUESTS):
        for _piece in app(_environ(), start_response):
            pass
    return (time.thread_time_ns() - began) / REQUESTS / 1e3


def _environ() -> dict[str, Any]:
    said = {f"HTTP_{name.decode().upper().replace('-', '_')}": value.decode() for name, value in _SENT}
    return {
        **said, "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/speak/anna", "QUERY_STRING": "a=b",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "1", "wsgi.url_scheme": "http", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "120",
    }  # fmt: skip


_SENT = [each for each in (*HEADERS, CALLER) if not each[0].startswith(b"content-")]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))), flush=True)

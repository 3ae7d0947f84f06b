# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the edge of a web application costs on the request's path: ``python -m tests.bench.edge_cost ROUNDS``.

The yardstick is OpenTelemetry's ASGI middleware around the same application, which sends its spans nowhere but into a
queue, as a batch processor does. What the application itself takes is measured beside and taken off. A request carries
the headers of a browser's fetch and a `traceparent`. For messages of a WebSocket the yardstick is a coroutine that
calls the server's `receive`. Rounds of all ways take turns, and the middle of each counts.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from tests.bench import inside
from tests.bench.stage_cost import SpanQueue

REQUESTS, MESSAGES = 300, 3000
HEADERS = [
    (b"host", b"tts.example:8000"), (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"), (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"), (b"content-type", b"application/json"), (b"content-length", b"120"),
    (b"origin", b"https://tts.example"),
]  # fmt: skip
CALLER = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Answers:
    """An application that answers at once; `Starlette` is what the edge is put on."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        while (await receive())["type"] != "websocket.disconnect":
            pass


def measure(rounds: int) -> dict[str, Any]:
    """Return µs a request for each way, its ratio to OpenTelemetry's, and the same of a WebSocket's message in ns."""
    compared = ways()
    times: dict[str, list[float]] = {way: [] for way in compared}
    messages: dict[str, list[float]] = {"ours": [], "wrapper": [], "bare": []}
    edge = inside.web_edge()
    for number in range(rounds + 2):
        for way, (app, before, after) in compared.items():
            before()
            times[way].append(_per_request(app))
            after()
        edge.uninstrument()
        messages["bare"].append(_per_message(_starlette(), _receiver()))
        messages["wrapper"].append(_per_message(_starlette(), _wrapped(_receiver())))
        edge.instrument()
        messages["ours"].append(_per_message(_starlette(), _receiver()))
        if number < 2:
            for found in (*times.values(), *messages.values()):
                found.clear()
    added = {way: [a - b for a, b in zip(found, times["bare"], strict=True)] for way, found in times.items()}
    return {
        "us": {way: statistics.median(found) for way, found in added.items()},
        "ratio": {
            way: statistics.median(a / b for a, b in zip(found, added["contrib"], strict=True))
            for way, found in added.items()
        },
        "message_ns": {way: statistics.median(found) for way, found in messages.items()},
        "message": statistics.median(a / b for a, b in zip(messages["ours"], messages["wrapper"], strict=True)),
    }


def ways() -> dict[str, tuple[Application, Callable[[], object], Callable[[], object]]]:
    """All that is compared: the application, what puts the way in force, and what empties its queues."""
    edge, provider, queue = inside.web_edge(), TracerProvider(shutdown_on_exit=False), SpanQueue()
    provider.add_span_processor(queue)
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    contrib = OpenTelemetryMiddleware(
        Answers(), tracer_provider=provider, meter_provider=meters, exclude_spans=["receive", "send"]
    )
    own = TracerProvider(shutdown_on_exit=False)
    own.add_span_processor(queue)
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

    starlette = _starlette()
    return {
        "bare": (starlette, edge.uninstrument, empty),
        "contrib": (contrib, edge.uninstrument, empty),
        "server span": (starlette, put_in(True), empty),
        "no server span": (starlette, put_in(False), empty),
    }


def _starlette() -> Any:
    app = Starlette(routes=[Route("/speak/{voice}", Answers()), WebSocketRoute("/talk", Answers())])
    app.middleware_stack = Answers()  # neither routes nor middlewares are what is measured
    return app


def _per_request(app: Application) -> float:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    began = time.thread_time_ns()
    for _ in range(REQUESTS):
        _run(app(_scope("http"), receive, send))
    return (time.thread_time_ns() - began) / REQUESTS / 1e3


def _per_message(app: Application, receive: Any) -> float:
    async def send(_: Any) -> None:
        pass

    began = time.thread_time_ns()
    _run(app(_scope("websocket"), receive, send))
    return (time.thread_time_ns() - began) / MESSAGES


def _receiver() -> Any:
    left = MESSAGES

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 1
        return {"type": "websocket.receive" if left else "websocket.disconnect"}

    return receive


def _wrapped(receive: Any) -> Any:
    async def wrapped() -> Any:
        return await receive()

    return wrapped


def _scope(kind: str) -> dict[str, Any]:
    return {
        "type": kind, "method": "POST", "path": "/speak/anna", "raw_path": b"/speak/anna", "query_string": b"a=b",
        "headers": [*HEADERS, CALLER], "root_path": "", "scheme": "http", "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"}, "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1),
    }  # fmt: skip


def _run(coroutine: Any) -> None:
    """Nothing in it waits, so that no loop is needed."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits for something")


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))), flush=True)

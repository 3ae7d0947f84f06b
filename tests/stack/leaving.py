# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Collector of its own whose three stores are a sink here: what it lets through, as plain values."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from otel_tts.stack import ports
from otel_tts.stack.run import Stack
from otel_tts.stack.servers import LOOPBACK

Json = dict[str, Any]


class Leaving:
    """`send` gives the Collector one request of OTLP JSON and returns what comes out of it, as OTLP JSON.

    While `refuse` is set the sink answers as stores do that are full: UNAVAILABLE (Jaeger), 429 (VictoriaLogs); `gone`
    are signals for which it does so alone. It answers about traces after `slow` seconds, as Jaeger does on a slow disk.
    """

    slow = 0.0

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._url = stack.url("otlp_http")
        self._arrived = threading.Condition()
        self._received: dict[str, list[Any]] = {"traces": [], "logs": [], "metrics": []}
        self._plain: dict[str, list[Json]] = {"traces": [], "logs": [], "metrics": []}
        self.refuse = threading.Event()
        self.gone: set[str] = set()
        self.refused: set[str] = set()

    def send(self, signal: str, request: Json) -> Json:
        before = len(self.received(signal))
        self.post(signal, request)
        return self.wait_for(signal, before + 1)[-1]

    def post(self, signal: str, request: Json) -> None:
        """Give the Collector a request. Raises where it does not accept it."""
        httpx.post(f"{self._url}/v1/{signal}", json=request, timeout=30).raise_for_status()

    def wait_for(self, signal: str, count: int) -> list[Json]:
        """All that came out of the Collector, once it is as many requests."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._received[signal]) >= count, 60), "nothing came out"
        return self.received(signal)

    def received(self, signal: str) -> list[Json]:
        with self._arrived:
            plain = self._plain[signal]
            plain += map(MessageToDict, self._received[signal][len(plain) :])
            return list(plain)

    def take(self, signal: str, message: Any) -> bool:
        """Keep a request; False while the sink refuses."""
        with self._arrived:
            takes = not self.refuse.is_set() and signal not in self.gone
            if takes:
                self._received[signal].append(message)
            else:
                self.refused.add(signal)
            self._arrived.notify_all()
            return takes

    def wait_until_refused(self, *signals: str) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.refused >= set(signals), 60), self.refused


class _Configured(Stack):
    """Servers with more in their environment."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._environ = environ

    def environment(self) -> dict[str, str]:
        return super().environment() | dict(self._environ)


@contextmanager
def collector(folder: Path, **environ: str) -> Iterator[Leaving]:
    """Start a Collector, with these variables, and the sink; end both."""
    stack = _Configured(folder, environ)
    stack.configure(ports.free())
    found = Leaving(stack)
    servers = [_serve_grpc(stack.ports["jaeger_otlp"], found)]
    servers += [_serve_http(stack.ports[name], found) for name in ("victorialogs", "prometheus")]
    try:
        stack.start("otelcol")
        yield found
    finally:
        stack.down()
        for server in servers:
            server()


def _serve_grpc(port: int, found: Leaving) -> Any:
    class Service(TraceServiceServicer):
        def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
            if not found.take("traces", request):
                context.abort(grpc.StatusCode.UNAVAILABLE, "the disk is full")
            time.sleep(found.slow)
            return ExportTraceServiceResponse()

    options = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    add_TraceServiceServicer_to_server(Service(), server)
    assert server.add_insecure_port(f"{LOOPBACK}:{port}") == port
    server.start()
    return lambda: server.stop(0).wait()


def _serve_http(port: int, found: Leaving) -> Any:
    kinds = {"logs": ExportLogsServiceRequest, "metrics": ExportMetricsServiceRequest}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(self.headers.get("Content-Encoding", ""))
            signal = self.path.rsplit("/", 1)[1]
            taken = found.take(signal, kinds[signal].FromString(unpack(body) if unpack else body))
            self.send_response(200 if taken else 429)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop


def attributes(**values: Any) -> list[Json]:
    """OTLP JSON attributes; `__` in a name is a dot, a dict a map, a list an array."""
    return [{"key": name.replace("__", "."), "value": value(one)} for name, one in values.items()]


def value(one: Any) -> Json:
    if isinstance(one, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": value(inner)} for key, inner in one.items()]}}
    if isinstance(one, list):
        return {"arrayValue": {"values": [value(inner) for inner in one]}}
    return {"intValue": str(one)} if isinstance(one, int) else {"stringValue": one}


def read(pairs: list[Json]) -> Json:
    """Attributes as a dict of plain values."""
    return {pair["key"]: next(iter(pair["value"].values()), None) for pair in pairs}


def span(name: str = "text_to_speech", **more: Any) -> Json:
    now = time.time_ns()
    times = {"startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now)}
    return {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": name, **times, **more}


def traces(*spans: Json, resource: list[Json] | None = None, scope: Json | None = None) -> Json:
    inside = [{"scope": scope or {"name": "tests"}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": {"attributes": resource or []}, "scopeSpans": inside}]}


def logs(*records: Json, resource: list[Json] | None = None, scope: Json | None = None) -> Json:
    inside = [{"scope": scope or {"name": "tests"}, "logRecords": list(records)}]
    return {"resourceLogs": [{"resource": {"attributes": resource or []}, "scopeLogs": inside}]}


def metrics(*points: Json, resource: list[Json] | None = None, scope: Json | None = None) -> Json:
    gauge = {"name": "tts.something", "gauge": {"dataPoints": list(points)}}
    inside = [{"scope": scope or {"name": "tests"}, "metrics": [gauge]}]
    return {"resourceMetrics": [{"resource": {"attributes": resource or []}, "scopeMetrics": inside}]}

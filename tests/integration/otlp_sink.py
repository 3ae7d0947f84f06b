# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A small OTLP/HTTP receiver that tests send real telemetry to and read back as plain values.

    with OtlpSink() as sink:
        subprocess.run([...], env=sink.env(OTEL_SERVICE_NAME="speech"))
        assert [span.name for span in sink.spans()] == [...]

`answer` makes it refuse (an HTTP status), `retry_after` says until when (seconds), `hang` makes it accept and never
answer.
"""

from __future__ import annotations

import gzip
import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class SinkEvent:
    name: str
    time: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class SinkSpan:
    """A received span: ids in hex, times in Unix nanoseconds, kind and status as words (SERVER, ERROR)."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: tuple[SinkEvent, ...]
    links: tuple[tuple[str, str], ...]
    """Trace and span id of each."""
    status: str
    status_message: str
    scope: str
    resource: dict[str, Any] = field(repr=False)
    connection: int = field(repr=False)
    """The sender's TCP port: one for each connection."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


@dataclass(frozen=True)
class SinkLog:
    body: Any
    severity: str
    attributes: dict[str, Any]
    event_name: str
    trace_id: str
    span_id: str
    time: int
    scope: str
    resource: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SinkPoint:
    """One data point; of a histogram `value` is the sum."""

    metric: str
    kind: str
    unit: str
    attributes: dict[str, Any]
    value: float
    count: int
    edges: tuple[float, ...]
    buckets: tuple[int, ...]
    exemplars: tuple[str, ...]
    time: int
    scope: str
    resource: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Received:
    path: str
    body: bytes
    at: float
    connection: int


class OtlpSink:
    """Receives OTLP over HTTP (protobuf, gzip or deflate) on a free port of 127.0.0.1, in a thread."""

    def __init__(self, *, answer: int = 200, hang: bool = False) -> None:
        self.answer = answer
        self.hang = hang
        self.retry_after: int | None = None
        self._lock = threading.Condition()
        self._requests: list[_Received] = []
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> OtlpSink:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def env(self, **overrides: str) -> dict[str, str]:
        """Environment for a child process: this one's without OTEL_*, this Python's tools, this sink's endpoint."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_") and k != "PYTHONPATH"}
        tools = str(Path(sys.executable).parent)
        return {
            **clean,
            "PATH": tools + os.pathsep + clean.get("PATH", ""),
            "PYTHONUNBUFFERED": "1",
            "OTEL_SERVICE_NAME": "test",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            **overrides,
        }

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()

    def raw_bytes(self) -> bytes:
        """Everything received, decompressed, one request after another: for searching what must not be in it."""
        return b"\n".join(request.body for request in self._snapshot())

    def bodies(self, signal: str) -> list[bytes]:
        """The export requests for "traces", "metrics" or "logs", decompressed, in order of arrival."""
        return [request.body for request in self._of(signal)]

    def paths(self) -> list[str]:
        """The path of every request, in order of arrival."""
        return [request.path for request in self._snapshot()]

    def arrivals(self) -> list[tuple[str, float]]:
        """Path and time.monotonic() of every request."""
        return [(request.path, request.at) for request in self._snapshot()]

    def spans(self, name: str | None = None, **attributes: Any) -> list[SinkSpan]:
        """All spans so far, those of that name, those with these attributes (dots in keys written as __)."""
        found = [span for request in self._of("traces") for span in _spans(request)]
        return [s for s in found if name in (None, s.name) and _has(s.attributes, attributes)]

    def logs(self, event_name: str | None = None) -> list[SinkLog]:
        found = [log for request in self._of("logs") for log in _logs(request)]
        return [log for log in found if event_name in (None, log.event_name)]

    def points(self, metric: str | None = None, **attributes: Any) -> list[SinkPoint]:
        """Data points of every export so far: cumulative ones repeat, see `latest`."""
        found = [point for request in self._of("metrics") for point in _points(request)]
        return [p for p in found if metric in (None, p.metric) and _has(p.attributes, attributes)]

    def latest(self, metric: str, **attributes: Any) -> list[SinkPoint]:
        """The last point of each series (metric, attributes, process) with that name."""
        series = {
            (_frozen(p.attributes), p.resource.get("service.instance.id")): p for p in self.points(metric, **attributes)
        }
        return list(series.values())

    def wait_for(self, condition: Callable[[], Any], timeout: float = 20.0) -> Any:
        """Block until `condition()` is true, asked after each arrival; return it, or raise AssertionError."""
        deadline = time.monotonic() + timeout
        with self._lock:
            while not (result := condition()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not received within {timeout:g} s; got {len(self._requests)} requests")
                self._lock.wait(min(left, 0.25))
            return result

    def _of(self, signal: str) -> list[_Received]:
        return [request for request in self._snapshot() if request.path == f"/v1/{signal}"]

    def _snapshot(self) -> list[_Received]:
        with self._lock:
            return list(self._requests)

    def _receive(self, path: str, body: bytes, connection: int) -> None:
        with self._lock:
            self._requests.append(_Received(path, body, time.monotonic(), connection))
            self._lock.notify_all()


_ANSWERS: Mapping[str, type[Any]] = {
    "/v1/traces": ExportTraceServiceResponse,
    "/v1/metrics": ExportMetricsServiceResponse,
    "/v1/logs": ExportLogsServiceResponse,
}


def _handler(sink: OtlpSink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = _decompress(self.headers.get("Content-Encoding", ""), self._body())
            if sink.hang:
                sink._released.wait()
                self.close_connection = True
                return
            known = self.path in _ANSWERS
            if sink.answer == 200 and known:
                sink._receive(self.path, body, self.client_address[1])
            payload = _ANSWERS[self.path]().SerializeToString() if known else b""
            self.send_response(sink.answer if known else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(payload)))
            if sink.retry_after is not None:
                self.send_header("Retry-After", str(sink.retry_after))
            self.end_headers()
            self.wfile.write(payload)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _decompress(encoding: str, body: bytes) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    return body


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _spans(received: _Received) -> Iterable[SinkSpan]:
    for group in ExportTraceServiceRequest.FromString(received.body).resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield SinkSpan(
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    events=tuple(SinkEvent(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in span.events),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                    status_message=span.status.message,
                    scope=scoped.scope.name,
                    resource=resource,
                    connection=received.connection,
                )


def _logs(received: _Received) -> Iterable[SinkLog]:
    for group in ExportLogsServiceRequest.FromString(received.body).resource_logs:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_logs:
            for record in scoped.log_records:
                yield SinkLog(
                    body=_value(record.body),
                    severity=record.severity_text,
                    attributes=_attributes(record.attributes),
                    event_name=record.event_name,
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    time=record.time_unix_nano,
                    scope=scoped.scope.name,
                    resource=resource,
                )


def _points(received: _Received) -> Iterable[SinkPoint]:
    for group in ExportMetricsServiceRequest.FromString(received.body).resource_metrics:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_metrics:
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points:
                    histogram = kind == "histogram"
                    yield SinkPoint(
                        metric=metric.name,
                        kind=kind,
                        unit=metric.unit,
                        attributes=_attributes(point.attributes),
                        value=point.sum if histogram else getattr(point, point.WhichOneof("value")),
                        count=point.count if histogram else 1,
                        edges=tuple(point.explicit_bounds) if histogram else (),
                        buckets=tuple(point.bucket_counts) if histogram else (),
                        exemplars=tuple(exemplar.trace_id.hex() for exemplar in point.exemplars),
                        time=point.time_unix_nano,
                        scope=scoped.scope.name,
                        resource=resource,
                    )


def _has(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(attributes.get(key.replace("__", ".")) == value for key, value in wanted.items())


def _frozen(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, repr(value)) for key, value in attributes.items()))

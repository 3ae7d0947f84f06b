# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The edge of the standard library's server: keep-alive, HEAD, errors, clients that leave, and WSGI on top of it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pytest
from flask import Flask
from opentelemetry.trace import SpanKind, StatusCode

import otel_tts
from otel_tts import names
from otel_tts.testing import Telemetry

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "req-1"}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/broken":
            raise RuntimeError("what was said")
        if self.path == "/refused":
            self.send_error(404)
            return
        with otel_tts.synthesis("m") as synthesis:
            synthesis.audio(np.sin(np.arange(2400) / 10).astype(np.float32) / 2, 24000)
        if self.path == "/slow":
            time.sleep(0.3)
        self.send_response_only(100)
        self.end_headers()
        self.send_response(200)
        if self.path == "/mine":
            self.send_header("X-Request-Id", "mine")
        self.send_header("Content-Length", "6")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"spoken")

    do_HEAD = do_GET

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, address: Any) -> None:
        pass


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry() as running:
        running.launch()
        yield running


@pytest.fixture
def connection(telemetry: Telemetry) -> Iterator[http.client.HTTPConnection]:
    with Server(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        yield connection
        connection.close()
        server.shutdown()
        thread.join()


def ask(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str
) -> tuple[int, Any, bytes]:
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.headers.get_all("x-request-id"), response.read()


def servers(telemetry: Telemetry, count: int) -> list[Any]:
    deadline = time.monotonic() + 10
    while len(found := [span for span in telemetry.spans if span.kind is SpanKind.SERVER]) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count}"
        time.sleep(0.01)
    return found


def test_requests_on_one_connection_are_one_trace_each(telemetry: Telemetry, connection: Any) -> None:
    assert ask(connection, "/a", **CALLER) == (200, ["req-1"], b"spoken")
    assert ask(connection, "/mine", x_request_id="offered") == (200, ["mine"], b"spoken")
    (status, (own,), body) = ask(connection, "/a", x_request_id="x" * 10_000)
    assert (status, len(own), body) == (200, 32, b"spoken")
    assert ask(connection, "/a", "HEAD")[2] == b""
    assert ask(connection, "/refused")[0] == 404
    first, mine, long, head, refused = servers(telemetry, 5)
    assert f"{first.context.trace_id:032x}" == CALLER["traceparent"].split("-")[1]
    assert mine.attributes["request_id"] == "mine" and long.attributes["request_id"] == own
    assert (head.name, refused.attributes["http.response.status_code"]) == ("HEAD", 404)
    assert len({span.context.trace_id for span in telemetry.spans}) == 5 and not telemetry.recorder.serving
    outcomes = [span.attributes[names.OUTCOME] for span in telemetry.spans if span.name == "text_to_speech m"]
    assert outcomes == ["ok"] * 4


def test_what_a_handler_raises_is_on_its_span(telemetry: Telemetry, connection: Any) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(connection, "/broken")
    (server,) = servers(telemetry, 1)
    assert server.status.status_code is StatusCode.ERROR and server.attributes["error.type"] == "RuntimeError"
    assert "what was said" not in telemetry.everything()


def test_a_client_that_has_left_is_seen(telemetry: Telemetry, connection: Any) -> None:
    with socket.create_connection((connection.host, connection.port)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
        time.sleep(0.1)
    servers(telemetry, 1)
    assert telemetry.span("text_to_speech m").attributes[names.OUTCOME] == "cancelled"


def test_what_is_no_request_leaves_nothing(telemetry: Telemetry, connection: Any) -> None:
    for nonsense in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""):
        with socket.create_connection((connection.host, connection.port)) as client:
            client.sendall(nonsense)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass
    assert ask(connection, "/a")[0] == 200
    assert len(servers(telemetry, 1)) == 1


def test_wsgi_by_way_of_it_has_one_edge_only(telemetry: Telemetry) -> None:
    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    app = Flask(__name__)
    app.add_url_rule("/<a>", view_func=lambda a: "x")
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        assert ask(connection, "/a", **CALLER)[1] == ["req-1"]
        thread.join()
        connection.close()
    assert [span.name for span in servers(telemetry, 1)] == ["GET /<a>"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""When a request came: by the kernel of a real connection, by a proxy, by nobody."""

from __future__ import annotations

import asyncio
import http.client
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from otel_tts.instrumentation.edges import arrival
from otel_tts.instrumentation.edges.arrival import Arrival, arrived, time_of
from otel_tts.testing import Telemetry

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO tells when bytes came on Linux only")


class Service:
    """uvicorn in a thread: an application that notes when its requests came, and stands still for a while on /slow."""

    def __init__(self, **options: Any) -> None:
        self.arrivals: list[Arrival] = []
        self.handled: list[int] = []
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, log_config=None, lifespan="off", interface="asgi3", **options)
        )
        self._thread = threading.Thread(target=self._server.run)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.arrivals.append(arrived(scope, receive, send))
        self.handled.append(time.perf_counter_ns())
        if scope["path"] == "/slow":
            time.sleep(0.6)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def __enter__(self) -> Service:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()


def ask(connect: Callable[[], http.client.HTTPConnection], path: str, sent: list[int]) -> None:
    connection = connect()
    connection.connect()
    sent.append(time.perf_counter_ns())
    connection.request("POST", path, body=b"{}")
    connection.getresponse().read()
    connection.close()


def ask_while_it_stands_still(connect: Callable[[], http.client.HTTPConnection]) -> list[int]:
    """Ask for /slow, and twice for / while the loop is blocked; return when each was sent."""
    sent: list[int] = []
    threads = [threading.Thread(target=ask, args=(connect, path, sent)) for path in ("/slow", "/", "/")]
    for thread in threads:
        thread.start()
        time.sleep(0.15)
    for thread in threads:
        thread.join()
    return sent


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[arrival._Kernel]:
    fresh = arrival._Kernel()
    monkeypatch.setattr(arrival, "_kernel", fresh)
    yield fresh


@on_linux
@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
def test_the_kernel_knows_when_the_bytes_came(family: str, kernel: arrival._Kernel, free_port) -> None:
    port = free_port()
    with Service(host=family, port=port, http="h11", loop="asyncio") as service:
        sent = ask_while_it_stands_still(lambda: http.client.HTTPConnection(family, port, timeout=20))
    assert kernel.counts
    first, *waited = service.arrivals
    assert first.ns <= service.handled[0]
    for at, when, handled in zip(sent[1:], waited, service.handled[1:], strict=True):
        assert when.source == "kernel"
        assert abs(when.ns - at) < 0.1e9, "it came when it was sent, to some ticks of the kernel"
        assert when.wait_s == pytest.approx((handled - at) / 1e9, abs=0.1) and when.wait_s > 0.1
        assert when.facts() == {"tts.wait.duration": when.wait_s, "tts.wait.source": "kernel"}


@on_linux
def test_the_second_request_of_a_connection_has_its_own_time(kernel: arrival._Kernel, free_port) -> None:
    port = free_port()
    with Service(host="127.0.0.1", port=port, http="h11", loop="asyncio") as service:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(2):
            connection.request("GET", "/")
            connection.getresponse().read()
            time.sleep(0.3)
        connection.close()
    assert all(when.wait_s is None or when.wait_s < 0.15 for when in service.arrivals)


def test_behind_a_unix_socket_the_loop_says_how_late_it_was(tmp_path: Path, world) -> None:
    telemetry = world()
    telemetry.recorder.loops.allow()
    path = tmp_path / "s"

    def connect() -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(path))
        connection.connect = lambda: None  # type: ignore[method-assign]
        return connection

    try:
        with Service(uds=str(path), http="h11", loop="asyncio") as service:
            ask(connect, "/", [])
            time.sleep(0.3)
            sent = ask_while_it_stands_still(connect)
    finally:
        telemetry.recorder.loops.stop()
    quiet, slow, *waited = service.arrivals
    assert (quiet.source, quiet.wait_s, quiet.facts()) == ("loop", None, {})
    assert slow.wait_s is None
    for at, when in zip(sent[1:], waited, strict=True):
        assert when.source == "loop" and when.wait_s is None
        assert when.upper_bound_s is not None
        assert when.upper_bound_s >= (when.ns - at) / 1e9, "it is a bound"
        assert when.upper_bound_s < 2.5
        assert when.facts() == {"tts.wait.upper_bound": when.upper_bound_s, "tts.wait.source": "loop"}


# --- a kernel that counts nothing -------------------------------------------------------------------------------------


class Connection:
    """A TCP socket whose TCP_INFO says that the last bytes came `age` ms ago."""

    family = socket.AF_INET

    def __init__(self, age: int, size: int = 104) -> None:
        self.info = struct.pack("=52xI", age).ljust(size, b"\0")[:size]

    def getsockopt(self, *asked: int) -> bytes:
        return self.info[: asked[2]]


@on_linux
def test_a_kernel_that_leaves_the_field_empty_is_not_believed(kernel: arrival._Kernel) -> None:
    assert kernel.age(Connection(0)) is None, "nothing has been counted yet"
    assert kernel.age(Connection(500)) == 500_000_000
    assert kernel.age(Connection(0)) == 0, "this one counts"
    assert kernel.age(Connection(1)) == 0, "a tick is no waiting"
    assert kernel.age(Connection(500, size=20)) is None


@pytest.mark.parametrize("scope", [{"http_version": "2"}, {"http_version": "3"}])
def test_a_connection_that_many_requests_share_says_nothing(scope: dict[str, Any]) -> None:
    assert arrived(scope, Connection(500).getsockopt, None).source == "loop"


@pytest.mark.parametrize("receive", [None, object(), lambda: None, asyncio.Queue().get])
def test_a_server_that_is_not_known_is_left_alone(receive: Any) -> None:
    before = time.perf_counter_ns()
    when = arrived({}, receive, receive)
    assert (when.source, when.wait_s, when.upper_bound_s) == ("loop", None, None)
    assert before <= when.ns <= time.perf_counter_ns()


# --- a proxy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["t=1700000000.25", "1700000000.25", "1700000000250", "t=1700000000250000", "1700000000250000000"]
)
def test_each_form_of_x_request_start(text: str) -> None:
    assert time_of(text.encode()) == 1_700_000_000_250_000_000


@pytest.mark.parametrize("text", ["", "t=", "yesterday", "-5", "1e9", "١٢٣", "9" * 40, "1700000000.x"])
def test_no_x_request_start(text: str) -> None:
    with pytest.raises(ValueError):
        time_of(text.encode("latin-1", "ignore") if text.isascii() else text.encode())


def proxied(ago_s: float) -> dict[str, Any]:
    return {"headers": [(b"x-request-start", f"t={time.time() - ago_s:.3f}".encode())]}


def test_a_proxy_is_believed_only_where_it_was_said() -> None:
    with Telemetry():
        assert arrived(proxied(2.0), None, None).source == "loop"
    with Telemetry(trust_proxy=True):
        when = arrived(proxied(2.0), None, None)
        assert when.source == "proxy" and when.wait_s == pytest.approx(2.0, abs=0.3)
        assert arrived(proxied(-60), None, None).source == "loop", "its clock goes wrong"
        assert arrived(proxied(7200), None, None).source == "loop"
        assert arrived({"headers": [(b"x-request-start", b"soon")]}, None, None).source == "loop"

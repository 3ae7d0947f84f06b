# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A real HTTP receiver on a free port that answers as it is told to, badly too: one answer for each request.

receiver.answers += [answer(503, retry_after=1), garbage, hang]
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Request:
    """What came, and from which port: one for each connection."""

    head: str
    headers: dict[str, str]
    body: bytes
    port: int
    at: float = field(default_factory=time.monotonic, compare=False)


Answer = Callable[[socket.socket], bool]
"""Answers on a connection; says whether the connection goes on."""


def answer(status: int = 200, body: bytes = b"", phrase: str = "Words", **headers: Any) -> Answer:
    """A proper answer; ``retry_after=1`` is a header."""
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}"]
    lines += (f"{name.replace('_', '-')}: {value}" for name, value in headers.items())

    def send(connection: socket.socket) -> bool:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return headers.get("connection") != "close"

    return send


def raw(content: bytes) -> Answer:
    """These bytes, and the end."""

    def send(connection: socket.socket) -> bool:
        connection.sendall(content)
        return False

    return send


def drip(content: bytes, seconds: float) -> Answer:
    """A byte at a time."""

    def send(connection: socket.socket) -> bool:
        for byte in content:
            connection.sendall(bytes((byte,)))
            time.sleep(seconds)
        return False

    return send


def hang(connection: socket.socket) -> bool:
    """Nothing until the other side hangs up."""
    connection.settimeout(60)
    connection.recv(1)
    return False


def hang_up(connection: socket.socket) -> bool:
    """Close without a word."""
    return False


class Receiver:
    """Serves until the end of a ``with`` block."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = []
        self.always: Answer = answer()
        self.requests: list[Request] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.endpoint = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()

    def bodies(self) -> list[bytes]:
        """Return what was sent, in order."""
        return [request.body for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, (_, port) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, port), daemon=True).start()

    def _serve(self, connection: socket.socket, port: int) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while self._one(connection, stream, port):
                    pass
        except OSError:  # hung up, or not trusted
            connection.close()

    def _one(self, connection: socket.socket, stream: Any, port: int) -> bool:
        head = stream.readline().decode().strip()
        if not head:
            return False
        lines = iter(lambda: stream.readline().decode().strip(), "")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = stream.read(int(headers.get("content-length", 0)))
        self.requests.append(Request(head, headers, body, port))
        return (self.answers.pop(0) if self.answers else self.always)(connection)

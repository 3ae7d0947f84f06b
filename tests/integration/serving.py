# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A web server in a process of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def request_ids(self) -> list[str]:
        return [value for name, value in self.headers if name.lower() == "x-request-id"]


class Server:
    """A web server in a process of its own, and what it wrote to stderr."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path, port: int) -> None:
        self.port = port
        self._errors = folder / f"stderr.{port}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, env=dict(env), cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )

    @property
    def stderr(self) -> str:
        return self._errors.read_text(errors="replace")

    def wait_until_it_listens(self, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.stderr}"
                assert time.monotonic() < deadline, f"does not listen:\n{self.stderr}"
                time.sleep(0.05)

    def wait_until_it_says(self, text: str, times: int = 1, timeout: float = 30.0) -> None:
        """Wait for `text` on stderr, so many times: that many workers have come up."""
        deadline = time.monotonic() + timeout
        while self.stderr.count(text) < times:
            assert time.monotonic() < deadline, f"does not say {text!r} {times} times:\n{self.stderr}"
            time.sleep(0.02)

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET request; underscores in header names stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest("GET", path)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        """Send a signal to the server's main process and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def clean_up(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

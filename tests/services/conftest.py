# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Programs whose requests come in by something else than a web server, or run in processes that they start.

These tests need an environment of their own (tests/environments/services.in); elsewhere they are not collected.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))

collect_ignore_glob = [] if find_spec("celery") else ["test_*.py"]

LAUNCHERS = {
    "opentelemetry-instrument": [str(Path(sys.executable).with_name("opentelemetry-instrument"))],
    "otel-tts run": [sys.executable, "-m", "otel_tts.cli.main", "run", "--"],
}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{PARENT}-01"
"""The trace context of a client that is no part of what is tested."""
SAID = "purple otter"
"""What is said here, and found nowhere in what is exported."""
OURS = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "celery,grpc_server,grpc_aio_server"}
"""Without OpenTelemetry's own instrumentations, which are installed here: who has them gets their spans."""
LATER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}
LEFT = ("mid-stream", "unanswered")
"""The ids of requests whose clients have gone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest) -> list[str]:
    """Each of the two commands that put otel-tts into a program."""
    return LAUNCHERS[request.param]


@pytest.fixture
def sink() -> Iterator[object]:
    from otlp_sink import OtlpSink

    with OtlpSink() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start(command, env)`: a program in a process group of its own; its output is in the file `output`."""
    running: list[subprocess.Popen[str]] = []

    def begin(command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
        with (tmp_path / "output").open("w") as output:
            process = subprocess.Popen(
                command, env=env, cwd=tmp_path, stdin=subprocess.PIPE, stdout=output, stderr=output, text=True,
                start_new_session=True,
            )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


@pytest.fixture
def redis(requires: Callable[[str], str], free_port: Callable[[], int], tmp_path: Path) -> Iterator[Redis]:
    """A server of its own on a free port, without persistence."""
    server = Redis(requires("redis-server"), free_port(), tmp_path)
    yield server
    server.kill()


class Redis:
    def __init__(self, program: str, port: int, folder: Path) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        wait_for_port(port, self._process)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def wait_for_port(port: int, process: subprocess.Popen[Any], seconds: float = 60) -> None:
    """Wait until `process` listens on `port`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)


def hang_up(url: str, request_id: str, *, begun: Path | None = None, **asked: Any) -> None:
    """Post a request and go: in the middle of its answer, or before there is one, when the file `begun` is there."""
    request = httpx.Request("POST", url, headers={"x-request-id": request_id}, **asked)
    connection = http.client.HTTPConnection(request.url.host, request.url.port, timeout=60)
    connection.request("POST", request.url.raw_path.decode(), request.content, dict(request.headers))
    if begun is None:
        answer = connection.getresponse()
        assert answer.read(1)
        answer.close()
    else:
        deadline = time.monotonic() + 60
        while not begun.exists():
            assert time.monotonic() < deadline, "nothing speaks"
            time.sleep(0.02)
    connection.close()


def wait_for_line(output: Path, line: str, seconds: float = 60) -> None:
    """Wait until `line` stands in what a program has written."""
    deadline = time.monotonic() + seconds
    while line not in (written := output.read_text()):
        assert time.monotonic() < deadline, written
        time.sleep(0.05)


def below(sink: Any, span: Any) -> list[Any]:
    """The spans whose parent is `span`, by their start."""
    return sorted((each for each in sink.spans() if each.parent_id == span.span_id), key=lambda each: each.start)


def syntheses(sink: Any, span: Any) -> list[Any]:
    """The syntheses below `span`, by their start."""
    return [each for each in below(sink, span) if each.name.startswith("text_to_speech")]


def shape(sink: Any, span: Any) -> list[list[str]]:
    """The stages of each synthesis below `span`."""
    return [[stage.name for stage in below(sink, each)] for each in syntheses(sink, span)]


def environment(sink: object, folder: Path, **more: str) -> dict[str, str]:
    """Variables of a program that sends to `sink`, and finds the modules that lie here."""
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return sink.env(PYTHONPATH=os.pathsep.join(paths), HOME=str(folder), **more)  # type: ignore[attr-defined]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/, started as their headers say, with a receiver for what they send."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
sys.path.append(str(HERE.parent / "integration"))

from otlp_sink import OtlpSink  # noqa: E402
from serving import Server  # noqa: E402

LAUNCHER = "opentelemetry-instrument"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200", "OMP_NUM_THREADS": "1"}
LATER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000", "OMP_NUM_THREADS": "1"}
"""Nothing leaves before the end: what arrives was flushed by it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def sink(sinks: OtlpSink) -> OtlpSink:
    """The module's receiver, with nothing in it yet."""
    sinks.clear()
    return sinks


@pytest.fixture(scope="module")
def sinks() -> Iterator[OtlpSink]:
    with OtlpSink() as running:
        yield running


@pytest.fixture(scope="module")
def start(sinks: OtlpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """`start("uvicorn", "app:app", "--port", "{port}")`: a server under the launcher, once it listens."""
    running: list[Server] = []

    def launch(*command: str, port: int) -> Server:
        folder = tmp_path_factory.mktemp("server")
        started = Server([LAUNCHER, *(part.format(port=port) for part in command)], env(sinks, SOON), folder, port)
        running.append(started)
        started.wait_until_it_listens(timeout=120)
        return started

    yield launch
    for server in running:
        server.stop(signal.SIGTERM)
        server.clean_up()


@pytest.fixture(scope="module")
def free_ports() -> Callable[[], int]:
    """`free_ports()` is a TCP port of 127.0.0.1 that nobody listens on."""

    def choose() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return choose


@pytest.fixture
def execute(tmp_path: Path, sinks: OtlpSink) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """`execute("batch.py", *arguments, launcher=False)` runs an example and returns how it ended."""

    def run(example: str, *arguments: str, launcher: bool, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [LAUNCHER] * launcher + [sys.executable, str(EXAMPLES / example), *arguments]
        return subprocess.run(
            command, env=env(sinks, LATER), cwd=tmp_path, input=given, capture_output=True, timeout=180, check=False
        )

    return run


def env(sink: OtlpSink, more: dict[str, str]) -> dict[str, str]:
    paths = [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return sink.env(OTEL_SERVICE_NAME="speech", PYTHONPATH=os.pathsep.join(paths), **more)

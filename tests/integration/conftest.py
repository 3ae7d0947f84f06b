# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from otlp_sink import OtlpSink
from serving import Server

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A real OTLP receiver; `sink.env()` is the environment of a process that sends to it."""
    with OtlpSink() as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Server]]:
    """`serve(source, ["uvicorn", "app:app", "--port", "{port}"], env)`: `source` as app.py, once it listens."""
    running: list[Server] = []

    def start(source: str, command: Sequence[str], env: Mapping[str, str]) -> Server:
        (tmp_path / "app.py").write_text(textwrap.dedent(source))
        port = free_port()
        server = Server([part.format(port=port) for part in command], env, tmp_path, port)
        running.append(server)
        server.wait_until_it_listens()
        return server

    yield start
    for server in running:
        server.clean_up()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`script(source, env)` runs `source` as a program under the launcher and returns how it ended."""

    def execute(
        source: str,
        env: Mapping[str, str],
        *,
        launcher: Sequence[str] = ("opentelemetry-instrument",),
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(source))
        return subprocess.run(
            [*launcher, sys.executable, str(path)],
            env=dict(env), cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    return execute

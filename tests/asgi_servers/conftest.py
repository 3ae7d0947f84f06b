# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Servers beside uvicorn's own loop and parser (tests/environments/asgi.in); elsewhere uvicorn as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def sink() -> Iterator[object]:
    from otlp_sink import OtlpSink

    with OtlpSink() as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., object]]:
    from serving import Server

    running: list[Server] = []

    def start(app: Path, command: Sequence[str], env: dict[str, str]) -> Server:
        (tmp_path / "app.py").write_text(app.read_text())
        port = free_port()
        server = Server([part.format(port=port) for part in command], env, tmp_path, port)
        running.append(server)
        server.wait_until_it_listens()
        return server

    yield start
    for server in running:
        server.clean_up()

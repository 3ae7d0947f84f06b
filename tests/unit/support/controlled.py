# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process's telemetry with its control socket, and how it is asked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_tts.control import start
from otel_tts.control.server import Server
from tests.unit.support.world import World


def ask(path: Path, line: str | bytes) -> Any:
    """Send a line and return what comes back; None where nothing does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(20)
        asking.connect(str(path))
        asking.sendall(line.encode() + b"\n" if isinstance(line, str) else line)
        said = b""
        while piece := asking.recv(65536):
            said += piece
    return json.loads(said) if said else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "control"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def controlled(world: Callable[..., World], folder: Path) -> Iterator[Callable[..., tuple[World, Server]]]:
    """`controlled(…)` makes a World that answers at a socket in `folder`."""

    def make(**options: Any) -> tuple[World, Server]:
        here = world(**options)
        server = start.start(here.emitter, str(folder))
        assert server is not None
        return here, server

    yield make
    start.stop()

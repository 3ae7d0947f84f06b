# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The control socket under real servers: each worker has one, whoever is stopped takes his away."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from otlp_sink import OtlpSink
from serving import Server

APP = """
    from fastapi import FastAPI
    import otel_tts

    app = FastAPI()

    @app.get("/")
    def speak():
        with otel_tts.synthesis(engine="e", text="x") as synthesis:
            synthesis.audio([0.5, -0.5] * 8000, 16000)
        return {}
"""


def ask(path: Path, line: str) -> Any:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(20)
        asking.connect(str(path))
        asking.sendall(line.encode() + b"\n")
        said = b""
        while piece := asking.recv(65536):
            said += piece
    return json.loads(said)


def wait(is_so: Callable[[], Any], server: Server) -> Any:
    until = time.monotonic() + 60
    while not (found := is_so()):
        assert time.monotonic() < until, server.stderr
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "app:app", "--port", "{port}"],
        ["uvicorn", "app:app", "--port", "{port}", "--workers", "2"],
        ["gunicorn", "app:app", "-b", "127.0.0.1:{port}", "-w", "2", "-k", "asgi", "--preload"],
    ],
    ids=["one", "workers", "preloaded"],
)
def test_each_worker_answers_and_who_is_stopped_takes_his_socket_away(
    sink: OtlpSink, serve: Callable[..., Server], tmp_path: Path, command: list[str]
) -> None:
    folder = tmp_path / "control"
    workers = 1 if len(command) == 4 else 2
    server = serve(APP, ["opentelemetry-instrument", *command], sink.env(OTEL_TTS_CONTROL=str(folder)))
    wait(lambda: len(list(folder.glob("*.sock"))) >= workers, server)
    for number in range(10):
        assert server.get("/", X_Request_Id=f"r{number}").status == 200

    def ended() -> list[dict[str, Any]]:
        found = [ask(path, f"status r{number}") for path in folder.glob("*.sock") for number in range(10)]
        return [said for said in found if said["state"] == "finished"]

    wait(lambda: len(ended()) == 10, server)  # each by the worker that had it, and by no other
    assert {said["outcome"] for said in ended()} == {"ok"}
    healths = [ask(path, "health") for path in folder.glob("*.sock")]
    assert len({said["pid"] for said in healths}) == len(healths) >= workers
    assert sum(said["heard"] for said in healths) == 10
    server.stop(signal.SIGTERM)
    wait(lambda: not list(folder.glob("*.sock")), server)
    assert [path.name for path in folder.iterdir()] == ["token"]

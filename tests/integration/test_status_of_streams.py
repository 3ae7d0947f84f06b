# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts status ID` tells how a stream ended whose head has said 200 long ago, whichever worker had it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from otlp_sink import OtlpSink
from serving import Server

APP = """
    import asyncio

    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse
    import otel_tts

    app = FastAPI()

    async def speak(how):
        with otel_tts.synthesis(engine="e", text="purple otter") as synthesis:
            for _ in range(3):
                synthesis.audio([0.5, -0.5] * 4000, 16000)
                yield bytes(16000)
                await asyncio.sleep(0.01)
            if how == "broken":
                raise LookupError("purple otter")
            while how == "endless":
                yield bytes(16000)
                await asyncio.sleep(0.05)

    @app.get("/{how}")
    async def stream(how: str):
        return StreamingResponse(speak(how), media_type="audio/pcm")
"""
COMMAND = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}", "--workers", "2"]


def status(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_tts.cli.main", "status", *arguments, "--control", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def wait_for(folder: Path, name: str, state: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while True:
        done = status(folder, name, "--json")
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"state": done.stderr}
        if document["state"] == state:
            return document
        assert time.monotonic() < until, done


def test_how_a_stream_ended_is_told_by_its_id(sink: OtlpSink, serve: Callable[..., Server], tmp_path: Path) -> None:
    folder = tmp_path / "control"
    server = serve(APP, COMMAND, sink.env(OTEL_TTS_CONTROL=str(folder)))
    assert server.get("/whole", X_Request_Id="whole").status == 200
    with pytest.raises(http.client.IncompleteRead):
        server.get("/broken", X_Request_Id="broken")
    listening = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    listening.request("GET", "/endless", headers={"X-Request-Id": "endless"})
    answer = listening.getresponse()
    assert (answer.status, len(answer.read(16000))) == (200, 16000)
    assert wait_for(folder, "endless", "open")["age_s"] > 0
    answer.close()
    listening.close()
    assert wait_for(folder, "whole", "finished")["outcome"] == "ok"
    broken = wait_for(folder, "broken", "finished")
    assert (broken["outcome"], broken["error_type"], broken["audio_s"]) == ("error", "LookupError", 1.5)
    assert wait_for(folder, "endless", "finished")["outcome"] == "cancelled"
    line = status(folder, "broken")
    assert line.returncode == 0 and line.stdout.startswith("error (LookupError): 1.50 s of audio in ")
    assert "otter" not in line.stdout + line.stderr + json.dumps(broken)
    never = status(folder, "never")
    assert (never.returncode, never.stdout) == (1, "") and "No process of the service knows it" in never.stderr
    server.stop()
    gone = status(folder, "whole")
    assert gone.returncode == 1 and "does the service run" in gone.stderr

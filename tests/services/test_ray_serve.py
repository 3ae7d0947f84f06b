# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import httpx
from conftest import HERE, LAUNCHERS, environment
from otlp_sink import OtlpSink

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BLRP_SCHEDULE_DELAY": "500"}
ALONE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


def test_a_fastapi_ingress_is_served_and_traced(
    sink: OtlpSink, launcher: list[str], start: Callable[..., subprocess.Popen[str]], tmp_path: Path,
    free_port: Callable[[], int],
) -> None:  # fmt: skip
    port, output = free_port(), tmp_path / "output"
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # sockets want a short path
        command = [*launcher, sys.executable, str(HERE / "ray_service.py"), str(port), folder]
        driver = start(command, environment(sink, tmp_path, **QUICK, **ALONE))
        deadline = time.monotonic() + 120
        while "serving" not in output.read_text():
            assert driver.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.2)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/tts", params={"text": "hello"}, headers={"x-request-id": "r-1"}, timeout=60
        )
        assert (answer.status_code, len(answer.content)) == (200, 48000)
        sink.wait_for(lambda: sink.spans("POST /tts") and sink.spans("text_to_speech sparrow"), 60)
        driver.communicate(timeout=60)
        assert driver.returncode == 0, output.read_text()
    (server,), (spoken,) = sink.spans("POST /tts"), sink.spans("text_to_speech sparrow")
    assert spoken.trace_id == server.trace_id
    assert server.attributes["request_id"] == spoken.attributes["request_id"] == "r-1"


APP = """
import sys
from fastapi import FastAPI
app = FastAPI()
del app.state  # Starlette's cannot be unpickled, instrumented or not
@app.get("/x")
def x(): return 1
import cloudpickle
open(sys.argv[1], "wb").write(cloudpickle.dumps(app))
"""
LOAD = """
import asyncio, pickle, sys
app = pickle.load(open(sys.argv[1], "rb"))
import httpx
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        print((await client.get("/x")).json())
asyncio.run(ask())
"""


def test_a_pickled_app_loads_on_either_side(sink: OtlpSink, tmp_path: Path) -> None:
    env, python, launcher = environment(sink, tmp_path), [sys.executable, "-c"], LAUNCHERS["otel-tts run"]
    files = {name: str(tmp_path / name) for name in ("bare", "instrumented")}

    def run(*command: str) -> str:
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(*python, APP, files["bare"])
    run(*launcher, *python, APP, files["instrumented"])
    for file in files.values():
        assert run(*python, LOAD, file) == "1\n"
        assert sink.spans() == []
    assert run(*launcher, *python, LOAD, files["instrumented"]) == "1\n"
    assert [span.name for span in sink.spans()] == ["GET /x"]
    assert b"opentelemetry" not in Path(files["instrumented"]).read_bytes()
    assert cloudpickle.loads(Path(files["instrumented"]).read_bytes()).routes

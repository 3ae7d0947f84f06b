# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
from conftest import CALLER, HERE, LATER, LAUNCHERS, PARENT, SAID, TRACE, environment
from otlp_sink import OtlpSink

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BLRP_SCHEDULE_DELAY": "500"}
ALONE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


@contextmanager
def serving(
    program: str, launcher: list[str], start: Callable[..., subprocess.Popen[str]], env: dict[str, str], output: Path,
    port: int,
) -> Iterator[str]:  # fmt: skip
    """Ray serves `program` at the address; it is shut down at the end."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # sockets want a short path
        command = [*launcher, sys.executable, str(HERE / program), str(port), folder]
        driver, starts = start(command, env), 1
        deadline = time.monotonic() + 300
        while "serving" not in output.read_text():
            assert time.monotonic() < deadline, output.read_text()
            if driver.poll() is not None:  # Ray gives its own node 30 s to come up, however busy the machine is
                assert "timed out during startup" in output.read_text() and starts < 4, output.read_text()
                driver, starts = start(command, env), starts + 1
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        driver.communicate(timeout=60)
        assert driver.returncode == 0, output.read_text()


def test_a_fastapi_ingress_is_served_and_traced(
    sink: OtlpSink, launcher: list[str], start: Callable[..., subprocess.Popen[str]], tmp_path: Path,
    free_port: Callable[[], int],
) -> None:  # fmt: skip
    env = environment(sink, tmp_path, **QUICK, **ALONE)
    with serving("ray_service.py", launcher, start, env, tmp_path / "output", free_port()) as url:
        answer = httpx.post(f"{url}/tts", params={"text": "hello"}, headers={"x-request-id": "r-1"}, timeout=60)
        assert (answer.status_code, len(answer.content)) == (200, 48000)
        assert answer.headers["x-request-id"] == "r-1"
        sink.wait_for(lambda: sink.spans("POST /tts") and sink.spans("text_to_speech sparrow"), 60)
    (server,), (spoken,) = sink.spans("POST /tts"), sink.spans("text_to_speech sparrow")
    assert spoken.trace_id == server.trace_id
    assert server.attributes["request_id"] == spoken.attributes["request_id"] == "r-1"


def test_a_plain_callable_is_served_and_traced_to_its_last_request(
    sink: OtlpSink, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    env = environment(sink, tmp_path, **LATER, **ALONE)  # nothing goes out before the replica's end
    launcher = LAUNCHERS["opentelemetry-instrument"]
    with serving("ray_plain.py", launcher, start, env, tmp_path / "output", free_port()) as url:
        for number, text in enumerate(("broken", SAID)):
            headers = {"x-request-id": f"r-{number}", "traceparent": CALLER}
            answer = httpx.post(url, content=text, headers=headers, timeout=60)
            assert answer.status_code == (500 if text == "broken" else 200)
            assert answer.headers["x-request-id"] == f"r-{number}"
    (spoken,) = sink.spans("text_to_speech sparrow")
    replicas: list[Any] = []
    for number in range(2):  # the proxy's own went out at its end too
        proxys, replicas_own = sorted(sink.spans("POST", request_id=f"r-{number}"), key=lambda span: span.start)
        assert (proxys.kind, proxys.trace_id, proxys.parent_id) == ("SERVER", TRACE, PARENT)
        assert (replicas_own.trace_id, replicas_own.parent_id) == (TRACE, proxys.span_id)
        replicas.append(replicas_own)
    failed, served = replicas
    assert failed.attributes["http.response.status_code"] == 500
    assert "LookupError" in str(failed.events)
    assert spoken.parent_id == served.span_id
    assert spoken.attributes["request_id"] == "r-1"
    assert SAID.encode() not in sink.raw_bytes()


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

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
from conftest import (
    CALLER,
    HERE,
    LATER,
    LAUNCHERS,
    LEFT,
    PARENT,
    SAID,
    TRACE,
    environment,
    hang_up,
    syntheses,
    wait_for_line,
)
from otlp_sink import OtlpSink

ALONE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


@contextmanager
def serving(
    program: str, launcher: list[str], start: Callable[..., subprocess.Popen[str]], env: dict[str, str], output: Path,
    port: int,
) -> Iterator[tuple[str, int]]:  # fmt: skip
    """Ray serves `program` at the address, in that session of processes; it is shut down at the end."""
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
        yield f"http://127.0.0.1:{port}", driver.pid
        driver.communicate(timeout=60)
        assert driver.returncode == 0, output.read_text()


def process_of(session: int, title: str) -> int:
    """The one process of Ray's there whose title begins so."""
    found: list[int] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            if os.getsid(pid := int(file.parent.name)) == session and file.read_bytes().startswith(title.encode()):
                found.append(pid)
    (one,) = found
    return one


def test_a_fastapi_ingress_is_served_and_sigterm_loses_nothing(
    sink: OtlpSink, launcher: list[str], start: Callable[..., subprocess.Popen[str]], tmp_path: Path,
    free_port: Callable[[], int],
) -> None:  # fmt: skip
    env = environment(sink, tmp_path, **LATER, **ALONE)
    with serving("ray_service.py", launcher, start, env, tmp_path / "output", free_port()) as (url, session):
        hang_up(f"{url}/stream", "mid-stream", params={"text": f"{SAID} " * 50})
        hang_up(f"{url}/slow", "unanswered", begun=tmp_path / "spoken", params={"text": SAID})
        for name in LEFT:
            wait_for_line(tmp_path / "output", f"REQ_FAIL request_id={name}")
        answers = [
            httpx.post(f"{url}/tts", params={"text": "hello"}, headers={"x-request-id": name}, timeout=60)
            for name in ("r-1", "r-2")  # with the second answer all is done for the first
        ]
        for title in ("ray::ServeReplica:default:Speech", "ray::ProxyActor"):
            os.kill(process_of(session, title), signal.SIGTERM)
        sink.wait_for(lambda: sink.spans("POST", request_id="r-1") and sink.spans("POST /tts", request_id="r-1"), 60)
        sink.wait_for(lambda: sink.latest("tts.requests") and sink.logs("REQ_SUCCESS"), 60)
    for answer, name in zip(answers, ("r-1", "r-2"), strict=True):
        assert (answer.status_code, len(answer.content), answer.headers["x-request-id"]) == (200, 48000, name)
    for route, name, outcome in (("tts", "r-1", "ok"), *zip(("stream", "slow"), LEFT, ("cancelled",) * 2, strict=True)):
        (proxys,), (replicas_own,) = sink.spans("POST", request_id=name), sink.spans(f"POST /{route}", request_id=name)
        assert (replicas_own.trace_id, replicas_own.parent_id) == (proxys.trace_id, proxys.span_id)
        (spoken,) = syntheses(sink, replicas_own)
        assert (spoken.attributes["request_id"], spoken.attributes["tts.outcome"]) == (name, outcome)
    assert {log.attributes["request_id"] for log in sink.logs("REQ_FAIL")} == set(LEFT)
    assert "r-1" in {log.attributes["request_id"] for log in sink.logs("REQ_SUCCESS")}


def test_a_plain_callable_is_served_and_traced_to_its_last_request(
    sink: OtlpSink, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    env = environment(sink, tmp_path, **LATER, **ALONE)  # nothing goes out before the replica's end
    launcher = LAUNCHERS["opentelemetry-instrument"]
    with serving("ray_plain.py", launcher, start, env, tmp_path / "output", free_port()) as (url, _):
        hang_up(f"{url}/stream", "mid-stream", content=f"{SAID} " * 50)
        hang_up(f"{url}/slow", "unanswered", begun=tmp_path / "spoken", content=SAID)
        for name in LEFT:
            wait_for_line(tmp_path / "output", f"REQ_FAIL request_id={name}")
        for number, text in enumerate(("broken", SAID)):
            headers = {"x-request-id": f"r-{number}", "traceparent": CALLER}
            answer = httpx.post(url, content=text, headers=headers, timeout=60)
            assert answer.status_code == (500 if text == "broken" else 200)
            assert answer.headers["x-request-id"] == f"r-{number}"
    replicas: list[Any] = []
    for number in range(2):  # the proxy's own went out at its end too
        proxys, replicas_own = sorted(sink.spans("POST", request_id=f"r-{number}"), key=lambda span: span.start)
        assert (proxys.kind, proxys.trace_id, proxys.parent_id) == ("SERVER", TRACE, PARENT)
        assert (replicas_own.trace_id, replicas_own.parent_id) == (TRACE, proxys.span_id)
        replicas.append(replicas_own)
    failed, served = replicas
    assert failed.attributes["http.response.status_code"] == 500
    assert "LookupError" in str(failed.events)
    (spoken,) = syntheses(sink, served)
    assert spoken.attributes["request_id"] == "r-1"
    for name in LEFT:
        _, replicas_own = sorted(sink.spans("POST", request_id=name), key=lambda span: span.start)
        (left,) = syntheses(sink, replicas_own)
        assert (left.attributes["request_id"], left.attributes["tts.outcome"]) == (name, "cancelled")
    assert len(sink.spans("text_to_speech sparrow")) == 3
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

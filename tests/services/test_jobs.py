# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs in forked processes that end by os._exit as soon as they are done: each has left its span, line and counts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import LATER, environment
from otlp_sink import OtlpSink

Start = Callable[..., "subprocess.Popen[str]"]

ASK = """
from celery_service import speak
print(*[answer.get(timeout=60) for answer in [speak.delay("hello") for _ in range(6)]])
"""


def assert_that_all_left(sink: OtlpSink, output: str, jobs: int) -> None:
    assert len(sink.spans("text_to_speech sparrow")) == jobs, output
    assert len(sink.spans("tts.acoustic_model")) == jobs
    assert output.count("REQ_SUCCESS") == len(sink.logs("REQ_SUCCESS")) == jobs, output
    assert sum(point.value for point in sink.latest("tts.requests")) == jobs
    assert "delivered" not in output


def test_celery(sink: OtlpSink, launcher: list[str], start: Start, tmp_path: Path) -> None:
    env = environment(sink, tmp_path, BROKER=str(tmp_path), **LATER)
    worker = [*launcher, sys.executable, "-m", "celery", "-A", "celery_service", "worker", "-c", "2", "-l", "WARNING"]
    running = start(worker, env)
    asked = subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True, timeout=100)
    assert asked.stdout.split() == ["12000"] * 6, asked.stderr
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert_that_all_left(sink, (tmp_path / "output").read_text(), 6)


RQ = """
import sys, threading
import redis, rq
from fakeredis import TcpFakeServer
server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
connection = redis.Redis(port=server.server_address[1])
# That server's answer to these is one that this client cannot read; RQ asks for its own address.
connection.client_list, connection.client_info = lambda: [], lambda: {"addr": "here"}
jobs = [rq.Queue(connection=connection).enqueue("speech.say", "hello") for _ in range(4)]
rq.Worker(["default"], connection=connection).work(burst=True)
print(*[job.latest_result().return_value.size for job in jobs])
"""


def test_rq(sink: OtlpSink, launcher: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*launcher, sys.executable, "-c", RQ], env=environment(sink, tmp_path, **LATER), cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    told = done.stdout.splitlines()[-1:]  # RQ writes its log there, as it does without us
    assert (done.returncode, told) == (0, ["12000 12000 12000 12000"]), done.stderr
    assert_that_all_left(sink, done.stderr, 4)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Celery task is one request: in its producer's trace, with the task's id, from whichever pool."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CALLER, LATER, LAUNCHERS, OURS, PARENT, SAID, TRACE, below, environment, shape, syntheses
from otlp_sink import OtlpSink

Start = Callable[..., "subprocess.Popen[str]"]
WORKER = [sys.executable, "-m", "celery", "-A", "celery_service", "worker", "-l", "WARNING"]
POOLS = {
    "prefork": ["-c", "2"], "solo": ["-P", "solo"], "threads": ["-P", "threads", "-c", "2"],
    "gevent": ["-P", "gevent", "-c", "4"], "eventlet": ["--pool=eventlet", "-c", "4"],
}  # fmt: skip

ASK = f"""
import json
from celery_service import speak, fail, try_again
headers = {{"traceparent": {CALLER!r}}}
asked = [task.apply_async(({SAID!r},), headers=dict(headers)) for task in (speak, fail, try_again)]
for answer in asked:
    answer.get(timeout=60, propagate=False)
print(json.dumps([answer.id for answer in asked]))
"""

REVOKE = f"""
import json, time
from celery.result import AsyncResult
from celery_slow import app, linger, speak
headers = {{"traceparent": {CALLER!r}}}
def ask(task, *args, **more):
    return task.apply_async(args, headers=dict(headers), **more)
ask(speak, {SAID!r}).get(timeout=60)
killed = ask(linger, {SAID!r}, 60.0)
while not app.control.inspect(timeout=5).active():
    time.sleep(0.1)
time.sleep(1)  # it has spoken, and what had ended has been sent
app.control.revoke(killed.id, terminate=True)
late = ask(speak, {SAID!r}, countdown=2)
app.control.revoke(late.id)
expired = ask(speak, {SAID!r}, expires=-1)
for answer in (killed, late, expired):
    try:
        answer.get(timeout=60)
    except Exception as error:
        assert type(error).__name__ == "TaskRevokedError", error
ask(speak, {SAID!r}).get(timeout=60)
print(json.dumps([killed.id, late.id, expired.id]))
"""

CLIENT = f"""
import json
from opentelemetry import trace
from celery_service import speak
with trace.get_tracer("client").start_as_current_span("ask"):
    answer = speak.delay({SAID!r})
answer.get(timeout=60)
print(json.dumps([answer.id]))
"""


def ask(script: str, env: dict[str, str], *launcher: str) -> list[str]:
    done = subprocess.run(
        [*launcher, sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def stop(start: Start, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`stop(worker)` ends it by SIGTERM, and returns what it has written."""

    def end(worker: subprocess.Popen[str]) -> str:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0, (tmp_path / "output").read_text()
        return (tmp_path / "output").read_text()

    yield end


@pytest.mark.parametrize("pool", POOLS)
def test_one_task_is_one_request_in_its_producers_trace(
    sink: OtlpSink, start: Start, stop: Callable[..., str], tmp_path: Path, redis: Any, pool: str
) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, KEPT="1000", **LATER, **OURS)
    worker = start([*LAUNCHERS["otel-tts run"], *WORKER, *POOLS[pool]], env)
    spoken, failed, retried = ask(ASK, env)
    output = stop(worker)
    tasks = {name: sink.spans(f"process celery_service.{name}") for name in ("speak", "fail", "try_again")}
    (said,), (fallen,), (first, second) = (sorted(tasks[name], key=lambda span: span.start) for name in tasks)
    for span, name in ((said, spoken), (fallen, failed), (first, retried), (second, retried)):
        assert (span.kind, span.trace_id, span.attributes["request_id"]) == ("CONSUMER", TRACE, name), output
        assert span.attributes["messaging.system"] == "celery"
        assert span.attributes["messaging.destination.name"] == "celery"
        assert span.parent_id == PARENT
    assert shape(sink, said) == shape(sink, second) == [["tts.acoustic_model", "tts.vocoder"]]
    assert [each.attributes["request_id"] for each in syntheses(sink, said)] == [spoken]
    assert (fallen.status, fallen.attributes["error.type"], below(sink, fallen)) == ("ERROR", "LookupError", [])
    assert (first.status, first.attributes["error.type"]) == ("ERROR", "ConnectionError")
    assert second.attributes["tts.task.retries"] == 1
    assert len(sink.spans("text_to_speech sparrow")) == output.count("REQ_SUCCESS") == 2
    assert SAID.encode() not in sink.raw_bytes()


@pytest.mark.parametrize("pool", ["prefork", "gevent", "eventlet"])
def test_a_task_that_is_revoked_is_told_of_once(
    sink: OtlpSink, start: Start, stop: Callable[..., str], tmp_path: Path, redis: Any, pool: str
) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, KEPT="1000", OTEL_BSP_SCHEDULE_DELAY="100", **OURS)
    command = [word.replace("celery_service", "celery_slow") for word in WORKER]
    worker = start([*LAUNCHERS["opentelemetry-instrument"], *command, *POOLS[pool]], env)
    killed, late, expired = ask(REVOKE, env)
    output = stop(worker)
    for name, task in (
        (killed, "celery_slow.linger"),
        (late, "celery_service.speak"),
        (expired, "celery_service.speak"),
    ):
        (span,) = sink.spans(f"process {task}", request_id=name)
        assert (span.trace_id, span.parent_id, span.status) == (TRACE, PARENT, "UNSET"), output
        assert span.attributes["tts.outcome"] == "cancelled"
        assert span.attributes["messaging.system"] == "celery"
        if name != killed:
            assert below(sink, span) == []
    spoken = [span for span in sink.spans("process celery_service.speak") if "tts.outcome" not in span.attributes]
    assert [len(syntheses(sink, span)) for span in spoken] == [1, 1]
    assert len(sink.spans("text_to_speech sparrow")) == 3, output
    assert SAID.encode() not in sink.raw_bytes()


def test_a_producers_own_trace_goes_along(
    sink: OtlpSink, start: Start, stop: Callable[..., str], tmp_path: Path, redis: Any, launcher: list[str]
) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, **OURS)
    worker = start([*launcher, *WORKER, "-c", "1"], env)
    (name,) = ask(CLIENT, env, *launcher)
    stop(worker)
    (asked,), (task,) = sink.spans("ask"), sink.spans("process celery_service.speak")
    assert (task.trace_id, task.parent_id, task.attributes["request_id"]) == (asked.trace_id, asked.span_id, name)
    assert [s.trace_id for s in sink.spans("tts.vocoder")] == [asked.trace_id]


def test_where_opentelemetrys_instrumentation_is_there_its_spans_are_the_tasks(
    sink: OtlpSink, start: Start, stop: Callable[..., str], tmp_path: Path, redis: Any
) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, KEPT="1000", **LATER)
    worker = start([*LAUNCHERS["otel-tts run"], *WORKER, "-P", "solo"], env)
    spoken, *_ = ask(ASK, env)
    stop(worker)
    tasks = [span for span in sink.spans() if span.kind == "CONSUMER"]
    assert sorted(span.name for span in tasks) == [
        "run/celery_service.fail", "run/celery_service.speak", "run/celery_service.try_again",
        "run/celery_service.try_again",
    ]  # fmt: skip
    said = next(span for span in tasks if span.name.endswith("speak"))
    assert (said.trace_id, said.attributes["request_id"]) == (TRACE, spoken)
    assert shape(sink, said) == [["tts.acoustic_model", "tts.vocoder"]]


def test_a_broker_that_is_gone_stops_neither_worker_nor_telemetry(
    sink: OtlpSink, start: Start, tmp_path: Path, redis: Any
) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, KEPT="1000", **LATER, **OURS)
    worker = start([*LAUNCHERS["otel-tts run"], *WORKER, "-P", "solo"], env)
    spoken, *_ = ask(ASK, env)
    redis.kill()
    deadline = time.monotonic() + 30
    while "Connection to broker lost" not in (tmp_path / "output").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)
    (said,) = sink.spans("process celery_service.speak")
    assert said.attributes["request_id"] == spoken
    assert len(sink.spans("text_to_speech sparrow")) == 2

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs of RQ and messages of Dramatiq: each is one request, in its producer's trace, with its own id."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import CALLER, LATER, LAUNCHERS, PARENT, SAID, TRACE, below, environment, shape, syntheses
from otlp_sink import OtlpSink

Start = Callable[..., "subprocess.Popen[str]"]


def run(script: str, env: dict[str, str], *launcher: str) -> list[str]:
    command = [*launcher, sys.executable, "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_all_is_told(sink: OtlpSink, system: str, named: dict[str, list[str]], output: str) -> None:
    """`named`: the ids of what was asked for, by the name of the task; `try_again` fails once."""
    for name, ids in named.items():
        spans = sorted(sink.spans(f"process {name}"), key=lambda span: span.start)
        for span in spans:
            assert (span.kind, span.trace_id, span.parent_id) == ("CONSUMER", TRACE, PARENT), output
            assert (span.attributes["messaging.system"], span.attributes["tts.task.name"]) == (system, name)
            assert span.attributes["messaging.destination.name"] == "default"
        if name.endswith("speak"):
            assert [shape(sink, span) for span in spans] == [[["tts.acoustic_model", "tts.vocoder"]]] * len(ids)
            assert [syntheses(sink, span)[0].attributes["request_id"] for span in spans] == ids
        if name.endswith("fail"):
            (span,) = spans
            assert (span.status, span.attributes["error.type"], below(sink, span)) == ("ERROR", "LookupError", [])
        assert {span.attributes["request_id"] for span in spans} == set(ids)
    assert SAID.encode() not in sink.raw_bytes()


RQ = f"""
import json, os, redis, rq
queue = rq.Queue(connection=redis.Redis.from_url(os.environ["BROKER"]))
def ask(name, **more):
    return queue.enqueue(f"rq_service.{{name}}", {SAID!r}, meta={{"traceparent": {CALLER!r}}}, **more)
asked = [ask("speak"), ask("fail"), ask("try_again", retry=rq.Retry(1))]
print(json.dumps([job.id for job in asked]))
"""
CLIENT = f"""
import json, os, redis, rq
from opentelemetry import trace
queue = rq.Queue(connection=redis.Redis.from_url(os.environ["BROKER"]))
with trace.get_tracer("client").start_as_current_span("ask"):
    print(json.dumps([queue.enqueue("rq_service.speak", {SAID!r}).id]))
"""


def test_rq_with_a_process_for_each_job(sink: OtlpSink, tmp_path: Path, redis: Any) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, **LATER)
    spoken, failed, retried = run(RQ, env)
    (own,) = run(CLIENT, env, *LAUNCHERS["otel-tts run"])
    worker = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", redis.url]
    done = subprocess.run(
        [*LAUNCHERS["opentelemetry-instrument"], *worker], env=env, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    ours = [span for span in sink.spans("process rq_service.speak") if span.attributes["request_id"] == own]
    (asked,) = sink.spans("ask")
    assert [(span.trace_id, span.parent_id) for span in ours] == [(asked.trace_id, asked.span_id)]
    assert shape(sink, ours[0]) == [["tts.acoustic_model", "tts.vocoder"]]
    first, second = sorted(sink.spans("process rq_service.try_again"), key=lambda span: span.start)
    assert (first.status, second.status) == ("ERROR", "UNSET") and shape(sink, second)
    sink.spans = lambda *args, spans=sink.spans: [s for s in spans(*args) if s.trace_id == TRACE]  # type: ignore[method-assign]
    assert_all_is_told(
        sink, "rq", {"rq_service.speak": [spoken], "rq_service.fail": [failed], "rq_service.try_again": [retried]},
        done.stderr,
    )  # fmt: skip


DRAMATIQ = f"""
import json
from dramatiq_service import speak, fail, try_again
asked = [actor.message_with_options(args=({SAID!r},), traceparent={CALLER!r}) for actor in (speak, fail, try_again)]
broker = speak.broker
print(json.dumps([broker.enqueue(message).message_id for message in asked]))
"""


def test_dramatiq(sink: OtlpSink, start: Start, tmp_path: Path, redis: Any) -> None:
    env = environment(sink, tmp_path, BROKER=redis.url, **LATER)
    command = [sys.executable, "-m", "dramatiq", "dramatiq_service", "--processes", "1", "--threads", "2"]
    worker = start([*LAUNCHERS["opentelemetry-instrument"], *command], env)
    spoken, failed, retried = run(DRAMATIQ, env)
    deadline = time.monotonic() + 60
    while (tmp_path / "output").read_text().count("REQ_SUCCESS") < 2:
        assert time.monotonic() < deadline and worker.poll() is None, (tmp_path / "output").read_text()
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    output = (tmp_path / "output").read_text()
    first, second = sorted(sink.spans("process try_again"), key=lambda span: span.start)
    assert (first.status, first.attributes["error.type"]) == ("ERROR", "ConnectionError")
    assert second.attributes["tts.task.retries"] == 1 and shape(sink, second)
    assert_all_is_told(sink, "dramatiq", {"speak": [spoken], "fail": [failed], "try_again": [retried]}, output)

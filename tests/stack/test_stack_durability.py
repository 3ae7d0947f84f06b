# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the Collector accepted arrives, whatever is down and however it ends; what it cannot keep it refuses."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sending import sender, trace_id

from otel_tts.stack import ports
from otel_tts.stack.run import Stack

if TYPE_CHECKING:
    from conftest import Backends

N = 150
BACKENDS = ("jaeger", "victorialogs", "prometheus")


def test_all_arrive_after_the_backends_were_down_and_the_collector_was_killed(
    stack: Backends, eventually: Callable[..., Any]
) -> None:
    service = f"durable-{uuid.uuid4().hex[:8]}"
    sent: set[str] = set()
    for name in BACKENDS:
        stack.stop(name)
    try:
        with sender(stack.otlp_http, service) as to:
            requests = to.meter.create_counter("tts.requests", "{request}")
            for number in range(N):
                with to.tracer.start_as_current_span("text_to_speech") as span:
                    with to.tracer.start_as_current_span("tts.vocoder"):
                        pass
                    to.logger.emit(body=f"REQ_SUCCESS number={number}")
                    requests.add(1, {"tts.voice": f"voice-{number}"})
                sent.add(trace_id(span))
                if number % 10 == 9:  # many small batches, as a service would send over time
                    to.flush()
        # Without a moment to finish anything: the answer to the last batch was sent, no more is promised.
        stack.kill("otelcol")
        assert not stack.stack.status()[-1].running
    finally:
        stack.start("otelcol")
        for name in BACKENDS:
            stack.start(name)

    assert len(sent) == N
    # Once more, while the queues empty.
    eventually(lambda: stack.search(service))
    stack.kill("otelcol")
    stack.start("otelcol")
    assert eventually(lambda: len(stack.search(service)) == N)
    assert stack.search(service) == sent
    assert all(len(stack.trace(one) or ()) == 2 for one in sent)

    logs = f'{{service.name="{service}"}}'
    assert eventually(lambda: len(stack.logs(logs)) == N)
    found = stack.logs(logs)
    assert {record["trace_id"] for record in found} == sent
    assert {record["_msg"] for record in found} == {f"REQ_SUCCESS number={number}" for number in range(N)}

    counted = f'sum(tts_requests_total{{service_name="{service}"}})'
    assert eventually(lambda: [one["value"][1] for one in stack.series(counted)] == [str(N)])


def test_metrics_that_waited_for_hours_are_taken(stack: Backends, eventually: Callable[..., Any]) -> None:
    """As after an outage of Prometheus alone, while it also has newer samples."""
    name = f"waited_{uuid.uuid4().hex[:8]}"
    then = time.time_ns() - 3 * 3600 * 10**9
    eventually(lambda: stack.series("up"))
    gauge = {"dataPoints": [{"timeUnixNano": str(then), "asDouble": 7.0}]}
    body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [{"name": name, "gauge": gauge}]}]}]}
    httpx.post(f"{stack.otlp_http}/v1/metrics", json=body).raise_for_status()
    at = then // 10**9 + 1

    def value() -> list[str]:
        answer = httpx.get(f"{stack.prometheus}/api/v1/query", params={"query": name, "time": at})
        return [one["value"][1] for one in answer.json()["data"]["result"]]

    assert eventually(value) == ["7"]


def test_jaeger_killed_under_load_loses_nothing(stack: Backends, eventually: Callable[..., Any]) -> None:
    """It answers after a span is on disk, so what it had not answered for is sent again."""
    service = f"killed-{uuid.uuid4().hex[:8]}"
    sent: set[str] = set()
    with sender(stack.otlp_http, service) as to:
        for number in range(600):
            with to.tracer.start_as_current_span("text_to_speech") as span:
                to.tracer.start_span("tts.vocoder").end()
            sent.add(trace_id(span))
            if number % 20 == 19:
                to.flush()
            if number in (150, 300, 450):
                stack.start("jaeger")  # is ready: killed in its start it may leave a file that it does not open
                stack.kill("jaeger")
                stack.start("jaeger", wait=False)
        to.flush()
    assert len(sent) == 600
    assert eventually(lambda: len(stack.search(service)) == 600)
    assert stack.search(service) == sent
    assert all(len(stack.trace(one) or ()) == 2 for one in sent)


def test_a_full_queue_refuses_and_says_to_try_again(
    stack: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    """A Collector of its own with room for little, and no backend: an answer is a promise, so there comes none."""
    monkeypatch.setenv("STACK_QUEUE_BYTES", "20000")
    alone = Stack(tmp_path)
    alone.configure(ports.free())
    try:
        alone.start("otelcol")
        accepted, refused = 0, None
        for number in range(100):
            answer = httpx.post(f"{alone.url('otlp_http')}/v1/logs", json=log_record(f"{number} {'x' * 1000}"))
            if answer.status_code != 200:
                refused = answer
                break
            accepted += 1
        assert refused is not None, "a queue of 20 kB took 100 kB"
        assert accepted > 0
        # What the OTLP specification calls retryable; OpenTelemetry's SDKs then wait and send again.
        assert refused.status_code in (429, 503)
    finally:
        alone.down()
    # The file beside the queue also has the refused one: written twice at most, never lost.
    archived = (tmp_path / "archive" / "logs.jsonl").read_text(encoding="utf-8").splitlines()
    assert accepted <= len([json.loads(line) for line in archived]) <= accepted + 1


def log_record(body: str) -> dict[str, Any]:
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": body}}
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]}

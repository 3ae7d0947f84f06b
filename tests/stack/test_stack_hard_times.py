# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Spans that come late, early, twice or by the thousand; a store that is full for a while."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from leaving import attributes, collector, logs, metrics, span, traces

if TYPE_CHECKING:
    from conftest import Backends

DAY_NS = 86_400 * 10**9


def of(trace: str, start_ns: int, **more: Any) -> dict[str, Any]:
    """A span of a second of this trace."""
    times = {"startTimeUnixNano": str(start_ns), "endTimeUnixNano": str(start_ns + 10**9)}
    return span(traceId=trace, spanId=secrets.token_hex(8)) | times | more


def send(stack: Backends, service: str, *spans: dict[str, Any]) -> None:
    request = traces(*spans, resource=attributes(service__name=service))
    httpx.post(f"{stack.otlp_http}/v1/traces", json=request, timeout=30).raise_for_status()


@pytest.fixture
def service() -> str:
    return f"hard-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("days", [-30, 3])
def test_a_span_out_of_its_time_is_found(
    stack: Backends, eventually: Callable[..., Any], service: str, days: int
) -> None:
    trace, start = secrets.token_hex(16), time.time_ns() + days * DAY_NS
    send(stack, service, of(trace, start))
    (found,) = eventually(lambda: stack.trace(trace))
    assert found["startTimeUnixNano"] == str(start)
    around = {"service": service, "start": start // 1000 - 10**6, "end": start // 1000 + 2 * 10**6}
    answer = httpx.get(f"{stack.jaeger}/api/traces", params=around).raise_for_status()
    assert [one["traceID"] for one in answer.json()["data"]] == [trace]


def test_a_span_sent_twice_is_one_and_a_late_child_joins(
    stack: Backends, eventually: Callable[..., Any], service: str
) -> None:
    trace, now = secrets.token_hex(16), time.time_ns()
    root = of(trace, now, name="POST /speak")
    send(stack, service, root)
    eventually(lambda: stack.trace(trace))
    send(stack, service, root)
    send(stack, service, of(trace, now + 1000, name="tts.vocoder", parentSpanId=root["spanId"]))
    eventually(lambda: len(stack.trace(trace) or ()) >= 2)
    assert sorted(one["name"] for one in stack.trace(trace) or ()) == ["POST /speak", "tts.vocoder"]


def test_a_trace_of_ten_thousand_spans_is_whole(stack: Backends, eventually: Callable[..., Any], service: str) -> None:
    trace, now = secrets.token_hex(16), time.time_ns()
    send(stack, service, *(of(trace, now + number) for number in range(10_000)))
    assert eventually(lambda: len(stack.trace(trace) or ()) == 10_000)


def test_nothing_is_missing_after_the_stores_were_full(stack: Backends, tmp_path: Path) -> None:
    """However long: the Collector asks again without end (`max_elapsed_time: 0`), and its queue is on disk."""
    requests = {
        "traces": [traces(span(f"span {number}")) for number in range(5)],
        "logs": [logs({"body": {"stringValue": f"line {number}"}}) for number in range(5)],
        "metrics": [metrics({"asDouble": float(number), "timeUnixNano": "2"}) for number in range(5)],
    }
    with collector(tmp_path) as leaving:
        leaving.refuse.set()
        for signal, sent in requests.items():
            for request in sent:
                leaving.post(signal, request)
        leaving.wait_until_refused(*requests)
        leaving.refuse.clear()
        for signal in requests:
            assert len({str(one) for one in leaving.wait_for(signal, 5)}) == 5, signal

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a service sends is found in each backend, and leads from one to the others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
from sending import sender, trace_id

if TYPE_CHECKING:
    from conftest import Backends


def test_a_trace_a_log_and_an_exemplar_lead_to_each_other(stack: Backends, eventually: Callable[..., Any]) -> None:
    request = uuid.uuid4().hex
    service = f"signals-{request[:8]}"
    with sender(stack.otlp_http, service) as to:
        duration = to.meter.create_histogram("tts.request.duration", "s")
        with to.tracer.start_as_current_span("text_to_speech", attributes={"request_id": request}) as span:
            with to.tracer.start_as_current_span("tts.vocoder"):
                duration.record(0.3, {"tts.outcome": "ok"})
            to.logger.emit(body=f"REQ_SUCCESS request_id={request}", attributes={"request_id": request})
        to.flush()
    wanted = trace_id(span)

    assert eventually(lambda: stack.search(service, request_id=request)) == {wanted}
    assert {one["name"] for one in stack.trace(wanted) or ()} == {"text_to_speech", "tts.vocoder"}

    (record,) = eventually(lambda: stack.logs(f'{{service.name="{service}"}} trace_id:="{wanted}"'))
    assert record["_msg"] == f"REQ_SUCCESS request_id={request}"
    assert record["request_id"] == request
    assert record["service.namespace"] == "tests"

    counted = f'tts_request_duration_seconds_count{{service_name="{service}", tts_outcome="ok"}}'
    (series,) = eventually(lambda: stack.series(counted))
    assert series["value"][1] == "1"
    assert series["metric"]["service_namespace"] == "tests"

    def exemplars() -> list[dict[str, Any]]:
        now = time.time()
        query = {"query": f'tts_request_duration_seconds_bucket{{service_name="{service}"}}'}
        answer = httpx.get(
            f"{stack.prometheus}/api/v1/query_exemplars", params={**query, "start": now - 600, "end": now + 60}
        )
        return [one for found in answer.json()["data"] for one in found["exemplars"]]

    (exemplar,) = eventually(exemplars)
    assert exemplar["labels"]["trace_id"] == wanted
    assert stack.trace(exemplar["labels"]["trace_id"]) is not None


def test_an_exponential_histogram_becomes_a_native_one(stack: Backends, eventually: Callable[..., Any]) -> None:
    name = f"native_{uuid.uuid4().hex[:8]}"
    now = time.time_ns()
    point = {
        "startTimeUnixNano": str(now - 10**9),
        "timeUnixNano": str(now),
        "count": "4",
        "sum": 8.0,
        "scale": 0,
        "positive": {"offset": 0, "bucketCounts": ["2", "2"]},
    }
    histogram = {"aggregationTemporality": 2, "dataPoints": [point]}
    scope = {"metrics": [{"name": name, "exponentialHistogram": histogram}]}
    body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [scope]}]}
    httpx.post(f"{stack.otlp_http}/v1/metrics", json=body).raise_for_status()
    (series,) = eventually(lambda: stack.series(f"histogram_count({name})"))
    assert series["value"][1] == "4"


def test_prometheus_scrapes_the_stack_itself(stack: Backends, eventually: Callable[..., Any]) -> None:
    eventually(lambda: len(stack.series("up == 1")) == 5)
    eventually(lambda: stack.series("otelcol_exporter_queue_capacity"))


def test_an_alert_reaches_alertmanager(stack: Backends, eventually: Callable[..., Any]) -> None:
    found = eventually(lambda: httpx.get(f"{stack.prometheus}/api/v1/alertmanagers").json()["data"])
    assert [one["url"] for one in found["activeAlertmanagers"]] == [f"{stack.alertmanager}/api/v2/alerts"]

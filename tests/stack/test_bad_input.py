# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What no sender should send: the Collector refuses it, or takes it, and goes on; who sends well notices nothing."""

from __future__ import annotations

import gzip
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import psutil
import pytest
from leaving import Leaving, attributes, collector, logs, span, traces
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from test_sampling import SAMPLING, left

if TYPE_CHECKING:
    from conftest import Backends

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
LARGE = 100 * 1024 * 1024
MEMORY_LIMIT = 512 * 1024 * 1024


@pytest.fixture(scope="module")
def leaving(stack: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    with collector(tmp_path_factory.mktemp("leaving")) as found:
        yield found


@pytest.fixture(autouse=True)
def afterwards(leaving: Leaving) -> Iterator[None]:
    """The same process still takes what is well-formed."""
    before = process(leaving).pid
    yield
    assert process(leaving).pid == before
    name = secrets.token_hex(8)
    assert name in str(leaving.send("logs", logs({"body": {"stringValue": name}})))


def process(leaving: Leaving) -> psutil.Process:
    pid = leaving.stack.status()[-1].pid
    assert pid is not None, "the Collector has ended"
    return psutil.Process(pid)


def post(leaving: Leaving, content: bytes, headers: dict[str, str], signal: str = "traces") -> int:
    url = f"{leaving.stack.url('otlp_http')}/v1/{signal}"
    return httpx.post(url, content=content, headers=headers, timeout=60).status_code


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (os.urandom(4096), PROTOBUF),
        (b"\x0a\xff\xff\xff\xff\x07", PROTOBUF),  # a length of 2 GB
        (b'{"resourceSpans": [{"scope', JSON),
        (b'{"resourceSpans": 7, "resourceLogs": 7, "resourceMetrics": 7}', JSON),
        (b"[" * 100_000, JSON),
        (b"\x1f\x8b\x08 no gzip", {**PROTOBUF, "Content-Encoding": "gzip"}),
        (b"text", {"Content-Type": "text/plain"}),
    ],
    ids=["noise", "a false length", "half", "a wrong type", "depth", "no gzip", "no OTLP"],
)
def test_what_is_no_otlp_is_refused_for_good(
    leaving: Leaving, signal: str, content: bytes, headers: dict[str, str]
) -> None:
    status = post(leaving, content, headers, signal)
    assert 400 <= status < 500
    assert status not in (408, 429), "the sender would try again"


def test_ids_and_times_that_cannot_be(leaving: Leaving) -> None:
    odd = [
        span(traceId="", spanId=""),
        span(traceId="00" * 16, spanId="00" * 8),
        span(startTimeUnixNano="0", endTimeUnixNano="0"),
        span(startTimeUnixNano="5", endTimeUnixNano="1"),
        span(startTimeUnixNano=str(2**63 - 1), endTimeUnixNano=str(2**63 - 1)),
        span(name=""),
    ]
    found = leaving.send("traces", traces(*odd))
    assert len(found["resourceSpans"][0]["scopeSpans"][0]["spans"]) == len(odd)


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "packed"])
def test_a_hundred_megabytes_are_refused_and_take_no_memory(leaving: Leaving, packed: bool) -> None:
    body = ExportTraceServiceRequest()
    body.resource_spans.add().scope_spans.add().spans.add(name="x" * LARGE)
    content = body.SerializeToString()
    headers = {**PROTOBUF, **({"Content-Encoding": "gzip"} if packed else {})}
    try:
        status = post(leaving, gzip.compress(content, 1) if packed else content, headers)
        assert 400 <= status < 500
    except (httpx.WriteError, httpx.ReadError):  # it closes the connection while there is still more
        assert not packed
    how = grpc.Compression.Gzip if packed else None
    where = leaving.stack.url("otlp_grpc").removeprefix("http://")
    with grpc.insecure_channel(where) as channel, pytest.raises(grpc.RpcError) as raised:
        TraceServiceStub(channel).Export(body, timeout=60, compression=how)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert process(leaving).memory_info().rss < MEMORY_LIMIT


def test_a_thousand_label_values_pass(leaving: Leaving) -> None:
    """The Collector does not bound them: services with otel-tts do (OTEL_TTS_MAX_LABEL_VALUES)."""
    now = str(time.time_ns())
    points = [{"asDouble": 1.0, "timeUnixNano": now, "attributes": attributes(voice=f"v{n}")} for n in range(10_000)]
    gauge = {"name": "tts.exploding", "gauge": {"dataPoints": points}}
    sent = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [gauge]}]}]}
    found = leaving.send("metrics", sent)
    assert len(found["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"]) == 10_000


def test_a_clock_that_is_hours_off_hides_nobodys_metrics(own_stack: Backends, eventually: Callable[..., Any]) -> None:
    """What is hours old is taken at its time, what is hours ahead refused and counted; others' are there as ever."""
    name, now, hours = f"skewed_{secrets.token_hex(4)}", time.time_ns(), 5 * 3600 * 10**9
    for who, moment in (("slow", now - hours), ("fast", now + hours), ("right", now)):
        point = {"timeUnixNano": str(moment), "asDouble": 7.0, "attributes": attributes(who=who)}
        gauge = {"name": name, "gauge": {"dataPoints": [point]}}
        body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [gauge]}]}]}
        httpx.post(f"{own_stack.otlp_http}/v1/metrics", json=body).raise_for_status()

    def values(at: int) -> list[str]:
        answer = httpx.get(f"{own_stack.prometheus}/api/v1/query", params={"query": name, "time": at // 10**9 + 1})
        return [one["metric"]["who"] for one in answer.json()["data"]["result"]]

    eventually(lambda: values(now) == ["right"])
    eventually(lambda: values(now - hours) == ["slow"])
    assert values(now + hours) == []
    own = httpx.get(f"{own_stack.stack.url('collector_metrics')}/metrics").text
    refused = [line for line in own.splitlines() if line.startswith("otelcol_exporter_send_failed_metric_points")]
    assert [line.rpartition(" ")[2] for line in refused if 'exporter="otlp_http/prometheus"' in line] != ["0"]


def test_a_trace_of_a_hundred_thousand_spans(
    stack: object, leaving: Leaving, eventually: Callable[..., Any], tmp_path: Path
) -> None:
    """Whole where everything is kept; where traces are sampled too, as it is beneath what one may have."""
    trace, some = secrets.token_hex(16), 5_000

    def send(to: Leaving) -> None:
        for part in range(20):
            spans = [span(traceId=trace, spanId=f"{part * some + n + 1:016x}") for n in range(some)]
            to.post("traces", traces(*spans))

    send(leaving)
    eventually(lambda: left(leaving)[trace] == 100_000, 120)
    with collector(tmp_path, **SAMPLING | {"STACK_KEEP_PERCENT": "100"}) as sampler:
        send(sampler)
        eventually(lambda: left(sampler)[trace] == 100_000, 120)
        assert process(sampler).memory_info().rss < MEMORY_LIMIT

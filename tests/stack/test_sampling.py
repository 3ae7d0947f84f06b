# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""variants/sampling.yaml: what went wrong stays, a share of the rest, and everything is counted before."""

from __future__ import annotations

import base64
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from leaving import Json, Leaving, attributes, collector, logs, metrics, span, traces, value

SHARE_PERCENT, WAIT_S, FINE = 10, 3.0, 400
SAMPLING = {
    "STACK_COLLECTOR": "sampling",
    "STACK_DECISION_WAIT": f"{WAIT_S:g}s",
    "STACK_KEEP_PERCENT": str(SHARE_PERCENT),
    "STACK_SPAN_METRICS_INTERVAL": "1s",
}
EXEMPLAR = {"asDouble": 1.0, "timeUnixNano": "2", "traceId": "5b8efff798038103d269b633813fc60c"}


@pytest.fixture(scope="module")
def sampler(stack: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    with collector(tmp_path_factory.mktemp("sampler"), **SAMPLING) as found:
        yield found


def request(took_s: float = 1.0, error: bool = False, trace: str | None = None, **facts: Any) -> Json:
    """A request of two spans of a trace of its own."""
    trace, now, root = trace or secrets.token_hex(16), time.time_ns(), secrets.token_hex(8)
    times = {"startTimeUnixNano": str(now - int(took_s * 1e9)), "endTimeUnixNano": str(now)}
    pairs = [{"key": name.replace("__", "."), "value": number(one)} for name, one in facts.items()]
    status = {"status": {"code": 2}} if error else {}
    synthesis = {"spanId": root, "name": "text_to_speech", "attributes": pairs, **status}
    vocoder = {"spanId": secrets.token_hex(8), "parentSpanId": root, "name": "tts.vocoder"}
    spans = [span(**{"traceId": trace, **times, **one}) for one in (synthesis, vocoder)]
    return traces(*spans, resource=attributes(service__name="sampled"))


def number(one: Any) -> Json:
    if isinstance(one, bool):
        return {"boolValue": one}
    return {"doubleValue": one} if isinstance(one, float) else value(one)


def ids(sent: Json) -> set[str]:
    return {one["traceId"] for rs in sent["resourceSpans"] for ss in rs["scopeSpans"] for one in ss["spans"]}


def left(sampler: Leaving) -> Counter[str]:
    """How many spans of each trace came out."""
    found: Counter[str] = Counter()
    for message in sampler.received("traces"):
        for rs in message.get("resourceSpans", ()):
            for ss in rs["scopeSpans"]:
                found.update(base64.b64decode(one["traceId"]).hex() for one in ss["spans"] if "traceId" in one)
    return found


def points(sampler: Leaving, name: str) -> list[Json]:
    """The newest points of a metric that came out."""
    for message in reversed(sampler.received("metrics")):
        for rm in message.get("resourceMetrics", ()):
            for sm in rm["scopeMetrics"]:
                for metric in sm["metrics"]:
                    if metric["name"] == name:
                        kind = next(kind for kind in ("sum", "histogram", "exponentialHistogram") if kind in metric)
                        return metric[kind]["dataPoints"]
    return []


REMARKABLE = {
    "failed": request(error=True),
    "slow": request(took_s=3.5),
    "late": request(tts__time_to_first_audio=1.5),
    "anomalous": request(tts__outcome="anomalous"),
    "clipped": request(tts__audio__anomaly=["clipped"]),
    "on the CPU": request(tts__device__fallback=True),
}


def test_what_went_wrong_stays_and_everything_is_counted(sampler: Leaving, eventually: Callable[..., Any]) -> None:
    fine = [request(tts__time_to_first_audio=0.4, tts__outcome="ok") for _ in range(FINE)]
    everything = [*fine, *REMARKABLE.values()]
    for at in range(0, len(everything), 20):
        sampler.post(
            "traces", {"resourceSpans": [rs for one in everything[at : at + 20] for rs in one["resourceSpans"]]}
        )
    remarkable = {name: next(iter(ids(sent))) for name, sent in REMARKABLE.items()}
    eventually(lambda: set(remarkable.values()) <= set(left(sampler)))
    # What is kept does not wait for decision_wait; what is not kept is thrown away after it.
    time.sleep(WAIT_S + 2)
    kept = left(sampler)
    assert set(kept.values()) == {2}, "a trace is torn"
    share = len(kept) - len(remarkable)
    assert 0.03 * FINE < share < 0.2 * FINE, share

    expected = 2 * (FINE + len(REMARKABLE))
    eventually(lambda: sum(int(one["asInt"]) for one in points(sampler, "traces.span.metrics.calls")) == expected)
    named = [one for one in points(sampler, "traces.kept.duration") for one in one.get("exemplars", ())]
    assert {base64.b64decode(one["traceId"]).hex() for one in named} <= set(kept)
    counted = [one for message in sampler.received("metrics") for one in exemplars(message)]
    assert {base64.b64decode(one["traceId"]).hex() for one in counted if "traceId" in one} <= set(kept)
    assert any("traceId" in one for one in counted)


def exemplars(message: Json) -> Iterator[Json]:
    for rm in message.get("resourceMetrics", ()):
        for sm in rm["scopeMetrics"]:
            for metric in sm["metrics"]:
                for kind in ("gauge", "sum", "histogram", "exponentialHistogram"):
                    for point in metric.get(kind, {}).get("dataPoints", ()):
                        yield from point.get("exemplars", ())


def test_metrics_and_log_records_stay_whole_but_for_where_exemplars_lead(
    sampler: Leaving, eventually: Callable[..., Any]
) -> None:
    sampler.post("metrics", metrics({"asDouble": 1.0, "timeUnixNano": "2", "exemplars": [EXEMPLAR]}))

    def own() -> list[Json]:
        return [m for m in sampler.received("metrics") if "tts.something" in str(m)]

    (found,) = eventually(own)
    (exemplar,) = exemplars(found)
    assert exemplar["asDouble"] == 1.0
    assert "traceId" not in exemplar
    sent = logs({"body": {"stringValue": "REQ_START"}, "traceId": EXEMPLAR["traceId"]})
    assert sampler.send("logs", sent)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["traceId"]


def test_spans_that_come_later_follow_the_decision(sampler: Leaving, eventually: Callable[..., Any]) -> None:
    failed = request(error=True)
    (trace,) = ids(failed)
    sampler.post("traces", failed)
    eventually(lambda: left(sampler)[trace] == 2)
    time.sleep(WAIT_S + 1.5)
    sampler.post("traces", request(trace=trace))
    eventually(lambda: left(sampler)[trace] == 4)


def decided(sampler: Leaving) -> int:
    """How many traces the sampler has found worth keeping by now: they are in the queue then."""
    page = httpx.get(f"{sampler.stack.url('collector_metrics')}/metrics").text
    name = "otelcol_processor_tail_sampling_global_count_traces_sampled"
    kept = (line for line in page.splitlines() if line.startswith(name) and 'sampled="true"' in line)
    return sum(round(float(line.rpartition(" ")[2])) for line in kept)


def test_a_sampler_that_is_killed_loses_only_what_waits(
    stack: object, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    with collector(tmp_path, **SAMPLING | {"STACK_DECISION_WAIT": "600s", "STACK_KEEP_PERCENT": "0"}) as sampler:
        sampler.refuse.set()
        failed = [request(error=True) for _ in range(20)]
        fine = request()
        for sent in (fine, *failed):
            sampler.post("traces", sent)
        eventually(lambda: decided(sampler) == len(failed))
        sampler.stack.kill("otelcol")
        sampler.refuse.clear()
        sampler.stack.start("otelcol")
        # The kept ones were in the queue on the disk already.
        assert set(eventually(lambda: len(left(sampler)) == 20 and left(sampler))) == set().union(*map(ids, failed))

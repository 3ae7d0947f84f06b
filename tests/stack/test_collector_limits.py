# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What would stop a store stays out of it, at what leaves the Collector: no store is ever sent such values here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from leaving import Leaving, attributes, collector, logs, read, span, traces

# What Jaeger's index takes is 65 000 bytes for service, key and value together.
SPAN_BYTES, EVENT_BYTES = 49152, 16384


@pytest.fixture(scope="module")
def leaving(stack: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    with collector(tmp_path_factory.mktemp("leaving")) as found:
        yield found


def only_span(left: Any) -> Any:
    (one,) = left["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return one


@pytest.mark.parametrize("letter", ["x", "語"], ids=["one byte", "three bytes"])
def test_a_long_value_is_cut_at_a_whole_character(leaving: Leaving, letter: str) -> None:
    left = only_span(leaving.send("traces", traces(span(attributes=attributes(long=letter * 100_000, request_id="r")))))
    found = read(left["attributes"])
    assert 8192 - 3 < len(found["long"].encode()) <= 8192
    assert set(found["long"]) == {letter}
    assert found["request_id"] == "r"


def test_many_values_are_cut_shorter(leaving: Leaving) -> None:
    many = {f"k{number}": "x" * 8000 for number in range(50)}
    found = read(only_span(leaving.send("traces", traces(span(attributes=attributes(**many)))))["attributes"])
    assert found.keys() == many.keys()
    assert {len(one) for one in found.values()} == {256}


@pytest.mark.parametrize(
    "absurd",
    [
        {"list": ["x" * 100] * 2000},
        {"map": {f"k{number}": "x" * 100 for number in range(2000)}},
        {"k" * 70_000: "v"},
        {f"k{number}": "x" * 300 for number in range(1000)},
    ],
    ids=["a list", "a map", "a name", "a thousand"],
)
def test_what_cutting_does_not_shorten_goes(leaving: Leaving, absurd: dict[str, Any]) -> None:
    given = attributes(**absurd, request_id="r", tts__outcome="ok")
    left = only_span(leaving.send("traces", traces(span(attributes=given))))
    assert len(json.dumps(left)) < SPAN_BYTES + 2000
    assert read(left["attributes"]) == {"request_id": "r", "tts.outcome": "ok"}


def test_events(leaving: Leaving) -> None:
    events = [
        {"name": "n" * 5000, "timeUnixNano": "1", "attributes": attributes(exception__type="E", message="x" * 100_000)},
        {"name": "e", "timeUnixNano": "1", "attributes": attributes(exception__type="E", list=["x" * 100] * 2000)},
    ]
    first, second = only_span(leaving.send("traces", traces(span(events=events))))["events"]
    assert len(first["name"]) == 1024
    assert len(read(first["attributes"])["message"]) == 8192
    assert read(second["attributes"]) == {"exception.type": "E"}
    assert max(len(json.dumps(one)) for one in (first, second)) < EVENT_BYTES


def test_names_status_and_state(leaving: Leaving) -> None:
    given = span("s" * 100_000, status={"code": 2, "message": "m" * 100_000}, traceState="a=" + "b" * 100_000)
    left = only_span(leaving.send("traces", traces(given)))
    assert len(left["name"]) == 1024
    assert len(left["status"]["message"]) == 8192
    assert "traceState" not in left


def test_resources_and_scopes(leaving: Leaving) -> None:
    resource = attributes(service__name="tts", **{f"k{number}": ["x" * 100] * 100 for number in range(20)})
    scope = {"name": "s" * 5000, "version": "v" * 5000, "attributes": attributes(list=["x" * 100] * 2000)}
    left = leaving.send("traces", traces(span(), resource=resource, scope=scope))["resourceSpans"][0]
    assert read(left["resource"]["attributes"]) == {"service.name": "tts"}
    assert {key: len(one) for key, one in left["scopeSpans"][0]["scope"].items()} == {"name": 256, "version": 256}


def test_a_record_does_not_hide_whose_it_is(leaving: Leaving) -> None:
    sent = logs({"attributes": attributes(service__name="another")}, resource=attributes(service__name="tts"))
    left = leaving.send("logs", sent)["resourceLogs"][0]
    assert read(left["scopeLogs"][0]["logRecords"][0]["attributes"]) == {"record.service.name": "another"}
    assert read(left["resource"]["attributes"]) == {"service.name": "tts"}


def test_a_trace_of_ten_thousand_spans_passes_whole(leaving: Leaving) -> None:
    left = leaving.send("traces", traces(*(span(spanId=f"{number + 1:016x}") for number in range(10_000))))
    assert sum(len(scope["spans"]) for one in left["resourceSpans"] for scope in one["scopeSpans"]) == 10_000


def test_a_store_that_takes_its_time_is_sent_a_batch_once(leaving: Leaving) -> None:
    """The exporter's own limit is 5 s: a large batch on a slow disk would be cut off and begun again, for ever."""
    before = len(leaving.received("traces"))
    leaving.slow = 7.0
    try:
        leaving.post("traces", traces(span()))
        leaving.wait_for("traces", before + 1)
        time.sleep(9.0)
    finally:
        leaving.slow = 0.0
    assert len(leaving.received("traces")) == before + 1

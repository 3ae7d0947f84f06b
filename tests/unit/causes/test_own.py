# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a request says of itself: each fact alone, with its evidence; none of a request that was quick."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otel_tts import names
from otel_tts.causes import own
from otel_tts.causes.own import Request as Asked
from otel_tts.causes.period import Period
from otel_tts.readers import otlp_json
from otel_tts.readers.syntheses import of_trace
from tests.store_contracts.sent import Request, S, span, traces
from tests.unit.support.languages import said_in_both_languages

NOW = 1_796_000_000 * S


def asked(request: Request, slow: bool | None = True) -> Asked:
    spans = list(otlp_json.spans(traces("tests", request.spans)))
    (synthesis,) = of_trace(spans)
    return Asked(synthesis, spans, slow, Period([synthesis]))


def keys(request: Request, slow: bool | None = True) -> list[str]:
    causes = own.facts(asked(request, slow))
    for cause in causes:
        said_in_both_languages(cause)
    return [cause.key for cause in causes]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, []),
        ({names.OUTCOME: "error", names.ERROR_TYPE: "ValueError"}, ["error"]),
        ({names.OUTCOME: "error", names.ERROR_TYPE: "torch.OutOfMemoryError"}, ["out_of_memory"]),
        ({names.OUTCOME: "rejected", names.ERROR_TYPE: "HTTPException"}, ["rejected"]),
        ({names.OUTCOME: "cancelled"}, ["client_left"]),
        ({names.OUTCOME: "anomalous", names.AUDIO_ANOMALY: ["silent"]}, ["bad_audio"]),
        ({names.AUDIO_ANOMALY: ["too_long", "clipped"]}, ["too_long"]),
        ({names.AUDIO_ANOMALY: [names.Anomaly.LIMIT_REACHED]}, ["limit"]),
        ({names.DEVICE_FALLBACK: True}, ["fallback"]),
        ({names.COLD_START: True, names.COLD_START_KIND: ["model_load", "compile"]}, ["cold_start"]),
        ({names.COLD_START: True}, ["cold_start"]),
        ({names.RETRIES: 2}, ["retries"]),
    ],
)
def test_facts_of_the_synthesis(facts: dict[str, Any], expected: list[str]) -> None:
    assert keys(Request(NOW, **facts)) == expected


def test_waiting_in_a_queue_and_for_a_lock() -> None:
    queued = Request(NOW, seconds=1.0)
    queued.server["startTimeUnixNano"] = str(NOW - 2 * S)
    queued.spans.append(span(queued.trace, "tts.queue", NOW - 2 * S, NOW, queued.server["spanId"]))
    (cause,) = own.facts(asked(queued))
    assert (cause.key, cause.seconds, cause.evidence) == ("queue", pytest.approx(2.0), "2 of 3 s")
    locked = Request(NOW, seconds=2.0)
    locked.spans.append(span(locked.trace, "tts.queue", NOW, NOW + S, locked.synthesis["spanId"]))
    assert keys(locked) == ["lock"]
    short = Request(NOW, seconds=2.0)
    short.spans.append(span(short.trace, "tts.queue", NOW, NOW + S // 100, short.synthesis["spanId"]))
    assert keys(short) == []


def test_a_reference_that_was_encoded_anew() -> None:
    missed = {names.REFERENCE_CACHE_HIT: False}
    assert keys(Request(NOW, stages={"reference_encode": 0.4, "vocoder": 0.2}, **missed)) == ["cache_miss"]
    assert keys(Request(NOW, stages={"reference_encode": 0.01, "vocoder": 0.2}, **missed)) == []
    assert keys(Request(NOW, stages={"reference_encode": 0.4}, **{names.REFERENCE_CACHE_HIT: True})) == []


def test_time_before_it_began_in_no_queue() -> None:
    late = Request(NOW, seconds=1.0)
    late.server["startTimeUnixNano"] = str(NOW - S)
    (cause,) = own.facts(asked(late))
    assert (cause.key, cause.seconds) == ("blocked", pytest.approx(1.0))
    second = span(late.trace, "text_to_speech", NOW + S, NOW + 2 * S, late.server["spanId"],
                  attributes={names.OPERATION_NAME: names.OPERATION})  # fmt: skip
    late.spans.append(second)
    spans = list(otlp_json.spans(traces("tests", late.spans)))
    for synthesis in of_trace(spans):  # one of several in a request: what was before it is not waiting
        assert own.facts(Asked(synthesis, spans, True, Period())) == []


def test_what_the_clock_of_another_machine_says_is_no_waiting() -> None:
    late = Request(NOW, seconds=1.0)
    late.server["startTimeUnixNano"] = str(NOW - S)
    spans = [
        replace(one, resource={**one.resource, "host.name": "gateway"}) if one.kind == "server" else one
        for one in otlp_json.spans(traces("tests", late.spans))
    ]
    (synthesis,) = of_trace(spans)
    assert own.facts(Asked(synthesis, spans, True, Period([synthesis]))) == []


def test_the_device_and_its_memory() -> None:
    busy = Request(NOW, stages={})
    busy.add("vocoder", NOW, 0.9, **{names.GPU_QUEUE_DELAY: 0.5})
    assert keys(busy) == ["device_busy"]
    full = Request(NOW, stages={}, **{names.OUTCOME: "error", names.ERROR_TYPE: "RuntimeError"})
    stage = full.add("acoustic_model", NOW, 0.9)
    stage["status"] = {"code": 2}
    event = {names.MEMORY_OOM: True, names.MEMORY_REQUESTED: 2**31, names.MEMORY_RETRIES: 2}
    from tests.store_contracts.sent import pairs

    stage["events"] = [{"name": names.MEMORY_EVENT, "timeUnixNano": str(NOW), "attributes": pairs(event)}]
    first, second = own.facts(asked(full))
    assert (first.key, first.evidence) == (
        "out_of_memory", "RuntimeError: 2,048 MiB were asked for in acoustic_model",
    )  # fmt: skip
    assert second.key == "allocator"


def test_where_it_failed() -> None:
    failed = Request(NOW, stages={}, **{names.OUTCOME: "error", names.ERROR_TYPE: "ValueError"})
    failed.add("vocoder", NOW, 0.5)["status"] = {"code": 2}
    failed.synthesis["status"] = failed.server["status"] = {"code": 2}
    (cause,) = own.facts(asked(failed))
    assert (cause.evidence, cause.touches, cause.of) == ("ValueError in vocoder", 1, 1)


def test_a_quick_request_is_told_nothing_of_what_makes_others_slow() -> None:
    facts = {names.COLD_START: True, names.DEVICE_FALLBACK: True, names.RETRIES: 1}
    assert keys(Request(NOW, **facts), slow=False) == []
    assert keys(Request(NOW, **facts), slow=None) == ["fallback", "cold_start", "retries"]
    assert keys(Request(NOW, **facts, **{names.OUTCOME: "cancelled"}), slow=False) == ["client_left"]


def test_where_nothing_is_wrong_it_is_the_network() -> None:
    facts = {names.AUDIO_DURATION: 3.2, names.AUDIO_SIZE: 153_600}
    cause = own.network(asked(Request(NOW, **facts), slow=False))
    assert cause is not None and "3.2 s of audio in 153,600 bytes; status 200" in cause.evidence
    assert own.network(asked(Request(NOW, **facts), slow=True)) is None
    assert own.network(asked(Request(NOW), slow=False)) is None
    assert own.network(asked(Request(NOW, **facts, **{names.OUTCOME: "error"}), slow=False)) is None


def test_where_there_is_nothing_to_compare_with_it_is_not_called_quick() -> None:
    cause = own.network(asked(Request(NOW, **{names.AUDIO_DURATION: 3.2}), slow=None))
    assert cause is not None and "cannot be told" in cause.title


@pytest.mark.parametrize(("status", "expected"), [(413, ["rejected"]), (503, ["error"]), (200, [])])
def test_a_request_that_came_to_no_synthesis(status: int, expected: list[str]) -> None:
    request = Request(NOW)
    request.spans = request.spans[:1]
    request.server["attributes"][1]["value"] = {"intValue": str(status)}
    spans = list(otlp_json.spans(traces("tests", request.spans)))
    (bare,) = of_trace(spans, bare=True)
    assert [cause.key for cause in own.facts(Asked(bare, spans, None, Period()))] == expected


def test_foreign_values_in_our_names() -> None:
    odd = {names.COLD_START: True, names.COLD_START_KIND: "text", names.AUDIO_SIZE: "many", names.ERROR_TYPE: 7}
    assert keys(Request(NOW, **odd, **{names.OUTCOME: "error"})) == ["error", "cold_start"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The syntheses of a WebSocket: many for one request, each asked for when it begins."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

import otel_tts
from otel_tts.emit.later.waiting import ANSWER_PATIENCE_S
from otel_tts.recording import request
from otel_tts.recording.request import MAX_ID_LENGTH, Request, accept_id


@pytest.fixture(params=[True, False])
def web(request_of_an_hour_ago: Request, request: pytest.FixtureRequest) -> Request:
    request_of_an_hour_ago.session = request.param
    return request_of_an_hour_ago


@pytest.fixture
def request_of_an_hour_ago() -> Iterator[Request]:
    made = Request("web-1", time.perf_counter_ns() - 3_600_000_000_000)
    token = request.current.set(made)
    yield made
    request.current.reset(token)


def test_each_has_an_id_and_a_beginning_of_its_own(world, web) -> None:
    seen = world()
    for _ in range(2):
        with otel_tts.synthesis("m") as synthesis:
            synthesis.chunk(np.full(2400, 0.5, np.float32), 24000)
    spans = seen.drain().spans
    ids = [span.attributes["request_id"] for span in spans]
    waited = [span.attributes["tts.time_to_first_byte"] for span in spans]
    if web.session:
        assert ids == ["web-1.1", "web-1.2"] and max(waited) < 3600
    else:
        assert ids == ["web-1", "web-1"] and min(waited) >= 3600


def test_the_longest_id_stays_one_that_is_accepted() -> None:
    web = Request("x" * MAX_ID_LENGTH, 0, session=True, numbers=count(10**6 + 1))
    assert accept_id(name := web.name_utterance()) == name and name.endswith(".1000001")


def test_what_goes_on_after_the_answer_has_an_id_and_a_beginning_of_its_own(world, request_of_an_hour_ago) -> None:
    seen, web = world(), request_of_an_hour_ago
    for _ in range(3):
        with otel_tts.synthesis("m") as synthesis:
            synthesis.chunk(np.full(2400, 0.5, np.float32), 24000)
        web.end(time.perf_counter_ns())
    spans = seen.drain().spans
    assert [span.attributes["request_id"] for span in spans] == ["web-1", "web-1.1", "web-1.2"]
    first, *others = [span.attributes["tts.time_to_first_byte"] for span in spans]
    assert first >= 3600 > max(others)


def test_audio_that_comes_after_the_answer_counts_from_its_synthesis(world, request_of_an_hour_ago) -> None:
    """Begun while the answer was open: it has the request's id, but nobody waited for it any more."""
    seen, web = world(), request_of_an_hour_ago
    with otel_tts.synthesis("m") as synthesis:
        web.end(time.perf_counter_ns())
        synthesis.chunk(np.full(2400, 0.5, np.float32), 24000)
    (span,) = seen.drain().spans
    assert span.attributes["request_id"] == "web-1" and span.attributes["tts.time_to_first_byte"] < 3600


@pytest.mark.parametrize("session", [True, False])
def test_an_id_that_the_application_replaces_is_replaced_in_what_has_not_left(
    world, request_of_an_hour_ago, session
) -> None:
    seen, web = world(), request_of_an_hour_ago
    web.session = session
    with otel_tts.synthesis("m"):
        pass
    with otel_tts.synthesis("m", request_id="mine"):
        pass
    with otel_tts.synthesis("m", request_id="web-10"):
        pass
    web.rename("theirs")
    spans = seen.drain().spans
    number = ".1" if session else ""
    said = [(span.attributes["request_id"], span.attributes.get("request_id.offered")) for span in spans]
    assert said == [(f"theirs{number}", f"web-1{number}"), ("mine", None), ("web-10", None)]
    assert f"INFO REQ_START request_id=theirs{number} request_id.offered=web-1{number}" in seen.lines()[0]


def test_a_line_that_has_left_keeps_the_id_that_was_offered(world, clock, request_of_an_hour_ago) -> None:
    seen, web = world(stuck_after=1), request_of_an_hour_ago
    with otel_tts.synthesis("m"):
        seen.drain()
        web.rename("theirs")
        clock.tick(2)
        seen.emitter.report_stuck()
    seen.drain()
    ids = [line.partition("request_id=")[2].split(" request_id.offered=") for line in seen.lines()]
    assert [[word.split()[0] for word in pair] for pair in ids] == [["web-1"], ["theirs", "web-1"], ["theirs", "web-1"]]


def test_a_finished_request_waits_for_its_answer_a_while(world, clock, request_of_an_hour_ago) -> None:
    seen, web = world(), request_of_an_hour_ago
    web.answers = True
    for _ in range(2):
        with otel_tts.synthesis("m"):
            pass
    seen.drain()
    assert seen.names() == []
    web.rename("theirs")
    web.end(clock.ns, left=True)
    assert [span.attributes["tts.outcome"] for span in seen.drain().spans] == ["cancelled"] * 2
    assert seen.spans[0].attributes["request_id"] == "theirs"

    token = request.current.set(Request("late", clock.ns, answers=True))
    with otel_tts.synthesis("m"):
        clock.tick(ANSWER_PATIENCE_S)
    seen.drain()
    assert len(seen.spans) == 2
    clock.tick(ANSWER_PATIENCE_S + 0.1)
    seen.drain()
    request.current.reset(token)
    assert seen.spans[2].attributes["tts.outcome"] == "ok"


def test_a_flush_does_not_wait_for_an_answer(world, request_of_an_hour_ago) -> None:
    seen, web = world(), request_of_an_hour_ago
    web.answers = True
    with otel_tts.synthesis("m"):
        pass
    began = time.monotonic()
    seen.emitter.flush(10)
    assert time.monotonic() - began < 1 and len(seen.spans) == 1


def test_only_what_the_client_has_not_heard_is_cancelled(world, request_of_an_hour_ago) -> None:
    """Sentences of a stream that it had got before it left stay what they were; a later background task is no part."""
    seen, web = world(), request_of_an_hour_ago
    for _ in range(2):
        with otel_tts.synthesis("m") as synthesis:
            synthesis.chunk(0.5 * np.sin(np.arange(2400) / 9), 24000)
    web.end(time.perf_counter_ns(), left=True)
    seen.drain()
    with otel_tts.synthesis("m"):
        pass
    seen.drain()
    assert [span.attributes["tts.outcome"] for span in seen.spans] == ["ok", "cancelled", "ok"]


def test_an_id_made_here_is_a_uuid_that_others_accept() -> None:
    made = {request.new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(uuid.UUID(one).version == 4 and uuid.UUID(one).hex == one for one in made)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs that do not simply succeed: each way of ending is told apart."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from driving import Page, client_of, new_traceparent, wait_for

from otel_tts import names

TEXT = "Quincebread at dawnfall. Purpleotter whispers."


@pytest.fixture
def known(page: Page) -> Page:
    """The page, once its slow function has spoken: it is known to make syntheses."""
    if not page.waiting:
        with page.let_go():
            page.do("wait_and_speak", TEXT)
    return page


def find(spans: list[Any], name: str) -> Any:
    (found,) = (span for span in spans if span.name.startswith(name))
    return found


def outcome(span: Any) -> str | None:
    return span.attributes.get(names.OUTCOME)


def test_what_fails_after_the_engine_fails_the_job(page: Page) -> None:
    handed, kind, _ = page.do("speak_and_fail", TEXT)
    assert kind == "error"
    spans = page.trace(handed.trace_id)
    job, synthesis = find(spans, "tts.job"), find(spans, names.OPERATION)
    assert (outcome(job), outcome(synthesis)) == ("error", "ok")
    assert job.status == "ERROR" and job.attributes["error.type"] == "ValueError" and job.status_message == ""
    (event,) = job.events
    assert event.attributes["exception.type"] == "ValueError" and event.attributes["code.function.name"]
    assert find(spans, "POST").status != "ERROR", "the job was handed in well"


def test_what_fails_before_the_engine_makes_no_synthesis(page: Page) -> None:
    refused, kind, _ = page.do("check_and_speak", "Quincebread?")
    assert kind == "error"
    assert page.do("check_and_speak", TEXT)[1] == "complete"
    again, _, _ = page.do("check_and_speak", "Dawnfall?")
    spans = page.trace(again.trace_id, "tts.job")
    assert [span.name for span in spans] == ["POST /gradio_api/call/{api_name}", "tts.job check_and_speak", "tts.queue"]
    assert outcome(spans[1]) == "error" and spans[1].attributes["error.type"] == "gradio.exceptions.Error"
    assert len(page.trace(refused.trace_id, "POST")) == 1, "nothing was known of the function"


def test_a_client_that_cancels(known: Page) -> None:
    trace_id, traceparent = new_traceparent()
    job = client_of(known, traceparent=traceparent).submit(TEXT, api_name="/wait_and_speak")
    known.wait_until_it_waits()
    # A client that has not read yet which job it handed in asks for the end of none.
    wait_for(lambda: job.communicator and job.communicator.event_id)
    job.cancel()
    cancelled = find(known.trace(trace_id, "tts.job"), "tts.job")
    assert outcome(cancelled) == "cancelled" and cancelled.status != "ERROR"
    with known.let_go():  # Python cannot stop a thread: the engine goes on, for nobody
        assert outcome(find(known.trace(trace_id), names.OPERATION)) == "cancelled"


@pytest.mark.parametrize("name", ["wait_and_speak", "stream_slowly"])
def test_a_tab_that_is_closed_at_work(known: Page, name: str) -> None:
    handed = known.hand_in(name, TEXT)
    connection = known.listen(name, handed.event_id)
    known.wait_until_it_waits()
    connection.close()
    known.wait_until_it_is_given_up()
    with known.let_go():
        spans = known.trace(handed.trace_id)
    synthesis = find(spans, names.OPERATION)
    assert (outcome(find(spans, "tts.job")), outcome(synthesis)) == ("cancelled", "cancelled")
    assert name == "wait_and_speak" or synthesis.attributes[names.STREAM_CHUNKS] >= 1


def test_a_tab_that_is_closed_in_the_queue(known: Page) -> None:
    first = known.hand_in("wait_and_speak", TEXT)
    known.wait_until_it_waits()
    second = known.hand_in("wait_and_speak", TEXT)
    known.listen("wait_and_speak", second.event_id).close()
    spans = known.trace(second.trace_id, "tts.job")
    assert [span.name for span in spans][1:] == ["tts.job wait_and_speak", "tts.queue"]
    assert outcome(spans[1]) == "cancelled" and spans[1].attributes[names.REQUEST_ID] == second.event_id
    with known.let_go():
        known.trace(first.trace_id)
    assert second.trace_id not in {span.trace_id for span in known.syntheses()}


def test_a_full_queue(start: Callable[..., Page]) -> None:
    page = start("speech.py", "1")
    running = page.hand_in("speak_and_wait", TEXT)
    page.wait_until_it_waits()
    waiting = page.hand_in("speak_and_wait", TEXT)
    trace_id, traceparent = new_traceparent()
    status, answer, request_id = page.post("call/speak_and_wait", {"data": [TEXT]}, traceparent=traceparent)
    assert status == 503 and "full" in answer["detail"]
    server, refused = page.trace(trace_id, "POST", names.OPERATION)
    assert outcome(refused) == "rejected" and refused.parent_id == server.span_id
    assert refused.attributes[names.ENGINE] == "hibari"
    assert refused.attributes[names.REQUEST_ID] == server.attributes[names.REQUEST_ID] == request_id
    with page.let_go():
        for handed in (running, waiting):
            assert page.result("speak_and_wait", handed.event_id)[0] == "complete"
            page.trace(handed.trace_id)
    (rejected,) = page.sink.wait_for(lambda: page.sink.latest("tts.requests", tts__outcome="rejected"))
    assert rejected.value == 1 and rejected.attributes[names.ENGINE] == "hibari"


def test_one_after_the_other_and_the_waiting_is_measured(known: Page) -> None:
    handed = [known.hand_in("wait_and_speak", TEXT) for _ in range(3)]
    known.wait_until_it_waits()
    with known.let_go():
        for job in handed:
            assert known.result("wait_and_speak", job.event_id)[0] == "complete"
        traces = [known.trace(job.trace_id) for job in handed]
    syntheses = [find(spans, names.OPERATION) for spans in traces]
    jobs, queues = ([find(spans, name) for spans in traces] for name in ("tts.job", "tts.queue"))
    for earlier, later in itertools.pairwise(range(3)):
        assert syntheses[earlier].end <= syntheses[later].start
        assert jobs[earlier].end <= queues[later].end, "it waited until the one before was done"
    waited = [span for span in known.sink.spans("tts.queue") if span.attributes.get(names.ENGINE) == "hibari"]
    (point,) = known.sink.wait_for(
        lambda: [p for p in known.sink.latest("tts.queue.duration") if p.count >= len(waited)], 30
    )
    assert point.attributes == {names.ENGINE: "hibari"} and point.count == len(waited)
    assert point.value == pytest.approx(sum(span.seconds for span in waited), rel=1e-3)


def test_two_at_a_time(page: Page) -> None:
    with ThreadPoolExecutor(2) as callers:
        jobs = list(callers.map(lambda _: page.do("speak_together", TEXT), range(2)))
    for handed, kind, _ in jobs:
        assert kind == "complete"
        synthesis = find(page.trace(handed.trace_id), names.OPERATION)
        assert synthesis.attributes[names.REQUEST_ID] == handed.event_id


def test_a_batch_is_linked_to_its_jobs(known: Page) -> None:
    """Three jobs wait behind one: they become one call, whose syntheses belong to all three."""
    alone = known.hand_in("speak_many", TEXT)
    known.wait_until_it_waits()
    handed = [known.hand_in("speak_many", text) for text in ("One.", "Two.", "Three.")]
    with known.let_go():
        assert all(known.result("speak_many", job.event_id)[0] == "complete" for job in handed)
        first = known.trace(alone.trace_id)
        jobs = [find(known.trace(job.trace_id, "tts.job"), "tts.job") for job in handed]
    assert find(first, names.OPERATION).parent_id == find(first, "tts.job").span_id, "one job alone is no batch"
    made = {span.span_id: span for span in known.syntheses() if span.links}
    assert len(made) == 3
    for job in jobs:
        assert {span_id for _, span_id in job.links} == made.keys()
    for synthesis in made.values():
        assert {span_id for _, span_id in synthesis.links} == {job.span_id for job in jobs}
        assert not synthesis.parent_id and synthesis.attributes[names.REQUEST_ID]


def test_sigterm_during_a_job(start: Callable[..., Page]) -> None:
    page = start("speech.py")
    done, _, _ = page.do("speak", TEXT)
    handed = page.hand_in("wait_and_speak", TEXT)
    page.wait_until_it_waits()
    assert page.server.stop(signal.SIGTERM) == -signal.SIGTERM
    page.trace(done.trace_id)
    assert [s.name for s in page.trace(handed.trace_id, "POST")] == ["POST /gradio_api/call/{api_name}"]


def test_nothing_said_leaves(page: Page) -> None:
    wait_for(lambda: page.syntheses())
    for word in (b"quincebread", b"dawnfall", b"purpleotter", b"whispers", b"audio.wav", b"/tmp/gradio"):
        assert word not in page.sink.raw_bytes().lower()

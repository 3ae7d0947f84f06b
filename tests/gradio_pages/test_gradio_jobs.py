# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs of a page's queue: each in its caller's trace, with its waiting, under its id."""

from __future__ import annotations

from typing import Any

import pytest
from driving import Page, new_traceparent

from otel_tts import names

TEXT = "Quincebread at dawnfall."
SERVER, JOB, QUEUE, SYNTHESIS = range(4)


def by_name(spans: list[Any]) -> list[str]:
    return [span.name for span in spans]


def chain(page: Page, trace_id: str, name: str, post: str | None = None) -> list[Any]:
    """SERVER span, job, queue, synthesis; the stages are below the synthesis."""
    spans = page.trace(trace_id)
    server, job, queue, synthesis, *stages = spans
    assert by_name(spans[:4]) == [
        f"POST {post or '/gradio_api/call/{api_name}'}", f"tts.job {name}", "tts.queue", "text_to_speech hibari"
    ]  # fmt: skip
    assert server.kind == "SERVER" and job.parent_id == server.span_id
    assert queue.parent_id == synthesis.parent_id == job.span_id
    for stage in stages:  # the page's own encoding of what the engine has given out is the job's
        encoding = stage.attributes[names.STAGE] == "postprocess" and stage.start > synthesis.start
        assert stage.parent_id == (synthesis.span_id if not encoding else job.span_id)
    assert server.start <= job.start <= server.end, "back-dated to when it was handed in"
    assert job.start == queue.start and queue.end <= synthesis.start and synthesis.end <= job.end
    return spans


@pytest.mark.parametrize("name", ["speak", "speak_async"])
def test_a_job_is_a_part_of_its_callers_trace(page: Page, name: str) -> None:
    handed, kind, data = page.do(name, TEXT)
    assert kind == "complete" and data[0]["path"].endswith(".wav")
    spans = chain(page, handed.trace_id, name)
    assert handed.request_id == handed.event_id
    assert {spans[which].attributes[names.REQUEST_ID] for which in (SERVER, JOB, SYNTHESIS)} == {handed.event_id}
    assert spans[SYNTHESIS].attributes[names.OUTCOME] == "ok" and names.OUTCOME not in spans[JOB].attributes


def test_the_file_that_the_page_fetches_is_looked_at(page: Page) -> None:
    handed, _, _ = page.do("speak", TEXT)
    synthesis = page.trace(handed.trace_id)[SYNTHESIS]

    def is_told() -> bool:  # on the span, or later where the span has left by then
        late = [log for log in page.sink.logs(names.FILE_EVENT) if log.trace_id == handed.trace_id]
        return any(found.attributes.get(names.AUDIO_FORMAT) == "wav" for found in (synthesis, *late))

    page.sink.wait_for(is_told)


def test_the_caller_may_choose_the_id(page: Page) -> None:
    handed, _, _ = page.do("speak", TEXT, x_request_id="order-17.b")
    spans = chain(page, handed.trace_id, "speak")
    assert handed.request_id == "order-17.b" != handed.event_id
    assert {spans[which].attributes[names.REQUEST_ID] for which in (SERVER, JOB, SYNTHESIS)} == {"order-17.b"}


@pytest.mark.parametrize("name", ["stream", "stream_async"])
def test_a_generator_is_one_synthesis(page: Page, name: str) -> None:
    handed, kind, _ = page.do(name, f"{TEXT} Purpleotter whispers.")
    assert kind == "complete"
    synthesis = chain(page, handed.trace_id, name)[SYNTHESIS]
    assert synthesis.attributes[names.STREAM] is True and synthesis.attributes[names.OUTCOME] == "ok"
    assert synthesis.attributes[names.STREAM_CHUNKS] == 2


def test_a_function_that_is_not_queued_runs_in_its_own_request(page: Page) -> None:
    trace_id, traceparent = new_traceparent()
    status, answer, request_id = page.post("run/at_once", {"data": [TEXT]}, traceparent=traceparent)
    assert status == 200 and answer["data"][0]["path"].endswith(".wav")
    server, synthesis, *_ = page.trace(trace_id, "POST", names.OPERATION)
    assert by_name([server, synthesis]) == ["POST /gradio_api/run/{api_name}", "text_to_speech hibari"]
    assert synthesis.parent_id == server.span_id
    assert server.attributes[names.REQUEST_ID] == synthesis.attributes[names.REQUEST_ID] == request_id


def test_a_job_without_a_synthesis_leaves_nothing_of_ours(page: Page) -> None:
    handed, kind, data = page.do("count", TEXT)
    assert (kind, data) == ("complete", [len(TEXT)])
    page.do("speak", TEXT)  # what the job might have left is out by the time of this one
    page.sink.wait_for(lambda: len(page.syntheses()) >= 1)
    assert by_name(page.trace(handed.trace_id, "POST")) == ["POST /gradio_api/call/{api_name}"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A page in a browser, and mounted in a service: what is no job leaves nothing, and the user may see the job's id."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Tab, chromium
from driving import Page, new_traceparent, wait_for

from otel_tts import names

HERE = Path(__file__).parent
TEXT = "Quincebread at dawnfall."


@pytest.fixture(scope="module")
def mounted(start: Callable[..., Page]) -> Page:
    """The page below /page of a service of uvicorn's, which shows the ids of its jobs."""
    command = (
        sys.executable, "-m", "uvicorn", "mounted:app", "--app-dir", str(HERE / "pages"), "--port", "{port}"
    )  # fmt: skip
    return start(command=command, root="/page", OTEL_TTS_GRADIO_PROGRESS="true")


def server_spans(page: Page) -> set[str]:
    return {span.name for span in page.sink.spans() if span.kind == "SERVER"}


def measured_routes(page: Page) -> set[str]:
    points = [p for p in page.sink.points() if p.metric.startswith("http.server")]
    return {str(p.attributes["http.route"]) for p in points if "http.route" in p.attributes}


@pytest.mark.requires("chromium")
def test_a_visit_leaves_its_jobs_only(page: Page, requires: Callable[[str], str]) -> None:
    began = time.time_ns()
    with chromium(requires("chromium")) as browser:
        tab = Tab(browser, page.url)
        tab.say(TEXT)
        trace_id, traceparent = new_traceparent()
        event_id, request_id = tab.click_and_hear(traceparent)
        assert event_id == request_id
    spans = page.trace(trace_id)
    assert [span.name for span in spans[:4]] == [
        "POST /gradio_api/queue/join", "tts.job speak", "tts.queue", "text_to_speech hibari"
    ]  # fmt: skip
    assert spans[1].attributes[names.REQUEST_ID] == event_id
    wait_for(lambda: measured_routes(page))
    jobs = {"/gradio_api/queue/join", "/gradio_api/call/{api_name}", "/gradio_api/run/{api_name}"}
    assert server_spans(page) <= {f"POST {route}" for route in jobs}
    assert measured_routes(page) <= jobs
    assert {span.scope for span in page.sink.spans()} == {names.SCOPE}
    ours = [span for span in page.sink.spans() if span.kind != "SERVER" and span.start >= began]
    assert {span.trace_id for span in ours} == {trace_id}, "looking at the text leaves nothing of ours"


@pytest.mark.requires("chromium")
def test_a_tab_that_a_user_closes(page: Page, requires: Callable[[str], str]) -> None:
    page.waiting = len(list(page.folder.glob("waits.*")))
    trace_id, traceparent = new_traceparent()
    with chromium(requires("chromium")) as browser:
        tab = Tab(browser, page.url)
        tab.say(TEXT)
        tab.click(traceparent, "slow")
        page.wait_until_it_waits()
        tab.close()
        page.wait_until_it_is_given_up()
    with page.let_go():
        _, job, _, synthesis, *_ = page.trace(trace_id)
    assert job.attributes[names.OUTCOME] == synthesis.attributes[names.OUTCOME] == "cancelled"


@pytest.mark.requires("chromium")
def test_the_page_shows_the_id_where_that_is_wanted(mounted: Page, requires: Callable[[str], str]) -> None:
    trace_id, traceparent = new_traceparent()
    with chromium(requires("chromium")) as browser:
        tab = Tab(browser, f"{mounted.url}/")
        tab.say(TEXT)
        event_id, _ = tab.click(traceparent, "slow")
        mounted.wait_until_it_waits()
        tab.page.get_by_text(f"waiting · {event_id}").first.wait_for()
        with mounted.let_go():
            spans = mounted.trace(trace_id)
    assert spans[0].name == "POST /page/gradio_api/queue/join" and spans[0].kind == "SERVER"
    assert spans[1].parent_id == spans[0].span_id, "one span for the request, not one for each app"


def test_a_mounted_page_and_the_service_around_it(mounted: Page) -> None:
    handed, kind, _ = mounted.do("speak", TEXT, x_request_id="mounted-1")
    assert kind == "complete" and handed.request_id == "mounted-1"
    spans = mounted.trace(handed.trace_id)
    assert [span.name for span in spans[:4]] == [
        "POST /page/gradio_api/call/{api_name}", "tts.job speak", "tts.queue", "text_to_speech hibari"
    ]  # fmt: skip
    assert {span.attributes[names.REQUEST_ID] for span in (spans[0], spans[1], spans[3])} == {"mounted-1"}
    assert mounted.server.get("/page/config").status == mounted.server.get("/config").status == 200
    mounted.sink.wait_for(lambda: mounted.sink.spans("GET /config"))
    got: list[Any] = [span for span in mounted.sink.spans() if span.name.startswith("GET")]
    routed = [span.name for span in got if span.attributes["http.response.status_code"] != 404]
    assert routed == ["GET /config"], "the service's own route is no page's; a browser asks for its favicon in vain"


def test_an_unqueued_job_of_a_mounted_page(mounted: Page) -> None:
    trace_id, traceparent = new_traceparent()
    status, _, request_id = mounted.post("run/at_once", {"data": [TEXT]}, traceparent=traceparent)
    server, synthesis, *_ = mounted.trace(trace_id, "POST", names.OPERATION)
    assert status == 200 and synthesis.parent_id == server.span_id
    assert server.attributes[names.REQUEST_ID] == synthesis.attributes[names.REQUEST_ID] == request_id

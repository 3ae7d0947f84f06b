# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A page in front of the tiny IndexTTS-2.5: four callers, five jobs each, by Gradio's client and by a browser."""

from __future__ import annotations

import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from browser import Tab, chromium
from driving import Page, client_of, new_traceparent

from otel_tts import names

TINY = Path(__file__).parents[1] / "torch_cpu" / "tiny.py"
REFERENCE = "purpleotter-reference.wav"
CLIENTS, EACH = 4, 5


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np
    import soundfile

    path = tmp_path_factory.mktemp("reference") / REFERENCE
    soundfile.write(path, 0.1 * np.sin(np.arange(22050) * 0.06), 22050)
    return path


@pytest.fixture(scope="module")
def indextts(start: Callable[..., Page], tmp_path_factory: pytest.TempPathFactory) -> Page:
    checkpoint = tmp_path_factory.mktemp("checkpoint") / "tiny"
    subprocess.run([sys.executable, str(TINY), str(checkpoint)], check=True, timeout=300)
    return start("indextts_page.py", str(checkpoint), patience=300)


def test_twenty_jobs_of_four_clients(indextts: Page, reference: Path) -> None:
    with ThreadPoolExecutor(CLIENTS) as callers:
        traces = list(callers.map(lambda number: use(indextts, number, reference), range(CLIENTS)))
    assert_each_in_its_trace(indextts, [job for one in traces for job in one])


def use(page: Page, number: int, reference: Path) -> list[tuple[str, str | None]]:
    """Five jobs by Gradio's client, each in its own trace, between keystrokes; the first one names its request."""
    client = client_of(page)
    done: list[tuple[str, str | None]] = []
    for turn in range(EACH):
        client.headers.pop("traceparent", None)
        client.predict(f"Quincebread {turn}", 40, api_name="/on_input_text_change")
        trace_id, client.headers["traceparent"] = new_traceparent()
        named = {"x-request-id": f"client-{number}"} if not turn else {}
        client.headers.update(named)
        answer = client.predict(upload(reference), f"Dawnfall {turn}.", 40, api_name="/gen_single")
        client.headers.pop("x-request-id", None)
        assert ".wav" in str(answer)
        done.append((trace_id, named.get("x-request-id")))
    client.close()
    return done


@pytest.mark.requires("chromium")
def test_twenty_jobs_of_four_tabs(indextts: Page, reference: Path, requires: Callable[[str], str]) -> None:
    before = len(indextts.syntheses())
    done: list[tuple[str, str | None]] = []
    with chromium(requires("chromium")) as browser:
        tabs = [Tab(browser, indextts.url) for _ in range(CLIENTS)]
        for tab in tabs:
            tab.upload(reference)
        for turn in range(EACH):
            for number, tab in enumerate(tabs):
                tab.say(f"Dawnfall {turn} of {number}.")
            for tab in tabs:
                trace_id, traceparent = new_traceparent()
                event_id, request_id = tab.click(traceparent)
                assert event_id == request_id
                done.append((trace_id, event_id))
            indextts.sink.wait_for(lambda: len(indextts.syntheses()) == before + len(done), 120)
    assert_each_in_its_trace(indextts, done)


def upload(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gradio_client import handle_file
    return handle_file(path)


def assert_each_in_its_trace(page: Page, jobs: list[tuple[str, str | None]]) -> None:
    assert len(jobs) == CLIENTS * EACH
    found: list[list[Any]] = []
    for trace_id, request_id in jobs:
        spans = page.trace(trace_id)
        server, job, queue, synthesis, *stages = spans
        assert [span.name for span in spans[:4]] == [
            "POST /gradio_api/queue/join", "tts.job gen_single", "tts.queue", "text_to_speech indextts-2.5"
        ]  # fmt: skip
        assert server.parent_id and server.kind == "SERVER" and job.parent_id == server.span_id
        assert queue.parent_id == synthesis.parent_id == job.span_id
        assert {stage.attributes[names.STAGE] for stage in stages} >= {"acoustic_model", "vocoder", "postprocess"}
        assert len({span.attributes[names.REQUEST_ID] for span in (server, job, synthesis)}) == 1
        assert request_id is None or job.attributes[names.REQUEST_ID] == request_id
        assert synthesis.attributes[names.OUTCOME] in ("ok", "anomalous"), "what random weights say may be silent"
        assert job.start == queue.start <= queue.end <= synthesis.start and synthesis.end <= job.end
        found.append(spans)
    in_order = sorted(found, key=lambda spans: spans[2].end)
    for earlier, later in itertools.pairwise(in_order):
        assert earlier[1].end <= later[2].end and earlier[3].end <= later[3].start, "two at once"
    own = [span for span in page.sink.spans() if span.scope == names.SCOPE and span.kind != "SERVER"]
    nobodys = {names.SPAN_MODEL_LOAD, names.SPAN_LOOP_LATE, names.SPAN_WAIT}  # and loops are late on a busy machine
    ours = {span.trace_id for span in own if span.name not in nobodys}
    assert ours >= {trace_id for trace_id, _ in jobs}
    assert len(ours) == len(page.syntheses()), "a span of ours in another trace"


def test_no_audio_is_told(indextts: Page, reference: Path) -> None:
    """The engine returns None, the page shows nothing, and says nothing."""
    trace_id, traceparent = new_traceparent()
    client = client_of(indextts, traceparent=traceparent)
    answer = client.predict(upload(reference), "", 40, api_name="/gen_single")
    client.close()
    spans = indextts.trace(trace_id)
    assert answer is None or answer["value"] is None
    assert spans[3].attributes[names.OUTCOME] in ("error", "anomalous"), spans[3].attributes
    assert names.OUTCOME not in spans[1].attributes, "to the page it was a job like any other"


def test_nothing_said_leaves_the_page(indextts: Page) -> None:
    assert indextts.syntheses()
    for word in (b"quincebread", b"dawnfall", b"purpleotter", b"outputs", b"/tmp/", b"spk_"):
        assert word not in indextts.sink.raw_bytes().lower()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""pocket-tts under the launcher: a thread makes latents, another decodes them, a third gets the audio."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from agreeing import nothing_said, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.pocket_tts import ENGINE

WHOLE, STREAM, DROPPED, FAILED, ENDLESS, ENDED = range(6)


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("pocket_tts")


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    same_audio(*runs, "whole", "stream", "first")
    assert runs[1].seen == runs[0].seen | {"ours_first": True}


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert [request.attributes[names.OUTCOME] for request in requests] == ["ok", "ok", "cancelled", "error", "ok", "ok"]
    assert len({request.trace_id for request in requests}) == 6
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "pocket-tts" and facts[names.ENGINE_VERSION] == "4.0.1"
        assert facts[names.DEVICE] == "cpu"
    assert [request.attributes[names.TEXT_LENGTH] for request in requests] == [46, 46, 46, 1, 7, 7]
    assert [request.attributes.get(names.STREAM) for request in requests] == [None, True, True, *[None] * 3]
    assert requests[FAILED].attributes[names.ERROR_TYPE] == traced.seen["refused"] == "ValueError"


def test_the_model_is_named_where_its_configuration_is_the_packages_own(traced: Run) -> None:
    models = [request.attributes[names.MODEL] for request in traced.requests()]
    assert models == ["pocket-tts", *["english_2m_2026-10"] * 5]
    assert [request.attributes.get(names.TEXT_LANGUAGE) for request in traced.requests()] == [None, *["en"] * 5]


@pytest.mark.parametrize("which", [WHOLE, STREAM])
def test_both_threads_are_stages_of_the_request(traced: Run, which: int) -> None:
    request = traced.requests()[which]
    stages = traced.stages(request)
    assert {stage.parent_id for stage in stages} == {request.span_id}
    found = [stage.attributes[names.STAGE] for stage in stages]
    assert sorted(found) == ["acoustic_model", "acoustic_model", *["text_frontend"] * 3, "vocoder"]
    (vocoder,) = (stage for stage in stages if stage.attributes[names.STAGE] == "vocoder")
    assert vocoder.attributes[names.STAGE_SEGMENTS] == traced.seen["chunks"] == 18
    assert request.attributes[names.SEGMENT_COUNT] == 2
    assert all(request.start <= stage.start and stage.end <= request.end for stage in stages)


def test_why_each_generation_ended(traced: Run) -> None:
    """Its limit is reckoned from the text; an end that comes at once waits for six frames, and some after it."""
    endless, ended = (traced.requests()[which].attributes for which in (ENDLESS, ENDED))
    assert (endless[names.FINISH_REASON], ended[names.FINISH_REASON]) == ("length", "stop")
    assert endless[names.GENERATION_STEPS] == endless[names.GENERATION_LIMIT] == ended[names.GENERATION_LIMIT]
    assert 6 < ended[names.GENERATION_STEPS] < ended[names.GENERATION_LIMIT]
    assert names.Anomaly.LIMIT_REACHED in endless[names.AUDIO_ANOMALY]
    (stage,) = (
        one for one in traced.stages(traced.requests()[ENDED]) if one.attributes[names.STAGE] == "acoustic_model"
    )
    assert stage.attributes[names.GENERATION_STEPS] == ended[names.GENERATION_STEPS]


def test_what_the_threads_do_after_the_caller_left_stays_in_its_trace(traced: Run) -> None:
    dropped = traced.requests()[DROPPED]
    found = {stage.attributes[names.STAGE] for stage in traced.stages(dropped)}
    assert {"text_frontend", "acoustic_model"} <= found
    requests = {request.trace_id for request in traced.requests()}
    assert {span.trace_id for span in traced.spans if names.STAGE in span.attributes} <= requests


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for request, name in zip(traced.requests()[:3], ("whole", "stream", "first"), strict=True):
        samples_agree(request, np.load(traced.out / f"{name}.npy"), 24000)
    assert traced.requests()[STREAM].attributes[names.STREAM_CHUNKS] == traced.seen["chunks"]


def test_neither_text_nor_configuration_leaves(traced: Run) -> None:
    nothing_said(traced, "pocket-tts")


FRAME = 0.08
"""Seconds of audio in a chunk of this network."""


def test_a_listener_who_leaves_its_own_server_is_cancelled_and_chunks_for_nobody_do_not_count(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    from otlp_sink import OtlpSink
    from serving import Server

    here, port = Path(__file__).parent, free_port()
    launcher = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    command = [launcher, sys.executable, str(here / "serve_pocket_tts.py"), str(tmp_path), str(port)]
    with OtlpSink() as sink:
        env = os.environ | sink.env(OTEL_BSP_SCHEDULE_DELAY="100", HF_HUB_OFFLINE="1")
        server = Server(command, env, tmp_path, port)
        try:
            server.wait_until_it_listens(120)
            form = ("text=" + "Quincebread+at+dawnfall.+" * 12).encode()
            head = (
                f"POST /tts HTTP/1.1\r\nHost: x\r\nX-Request-Id: gone\r\nContent-Length: {len(form)}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                client.sendall(head.encode() + form)
                heard = 0
                while heard < 20_000:
                    heard += len(client.recv(4096))
            (gone,) = sink.wait_for(lambda: [span for span in sink.spans() if "tts.outcome" in span.attributes], 60)
        finally:
            server.clean_up()
    said = gone.attributes
    assert (said[names.REQUEST_ID], said[names.OUTCOME]) == ("gone", "cancelled")
    assert said[names.STREAM_CHUNKS] > 1
    assert said[names.AUDIO_DURATION] == pytest.approx(FRAME * said[names.STREAM_CHUNKS])
    assert names.STREAM_UNDERRUN in said and names.STREAM_CONTINUOUS in said

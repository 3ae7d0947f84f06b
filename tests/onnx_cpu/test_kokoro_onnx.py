# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""kokoro-onnx with Kokoro's weights, under the launcher: whole, with times, from phonemes, streamed, left, refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spoken import SECRET, Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.kokoro_onnx import KOKORO_ONNX

PLAIN, TIMED, PHONEMES, STREAM, LEFT, NOBODY, NOTHING, CONTROL = range(8)
VOICE = ["reference_encode", "text_frontend"]


@pytest.fixture(scope="module")
def runs(twice: Callable[[str, Path], tuple[Run, Run]], kokoro_files: Path) -> tuple[Run, Run]:
    return twice("say_kokoro.py", kokoro_files)


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(KOKORO_ONNX, Installed())
    assert status.installed and status.lacking == ()


def test_there_are_as_many_voices_as_kokoro_has() -> None:
    assert len(KOKORO_ONNX.presets) == 54


@pytest.mark.parametrize("name", ["plain.npy", "timed.npy", "phonemes.npy", "stream.npy", "left.npy"])
def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run], name: str) -> None:
    without, traced = (run.audio()[name] for run in runs)
    assert len(without) > 10_000
    assert traced == without


def test_what_the_caller_sees_is_the_same(runs: tuple[Run, Run]) -> None:
    without, traced = runs
    assert traced.seen == without.seen
    assert traced.seen["chunks"] == 2 and "nobodyknows" in traced.seen["nobody"] and "\\x07" in traced.seen["control"]


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert [request.name for request in requests] == ["text_to_speech kokoro-82m"] * 8
    assert len({request.trace_id for request in requests}) == 8
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "kokoro-onnx" and facts[names.ENGINE_VERSION] == "0.6.1"
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert outcomes == ["ok"] * 4 + ["cancelled", "rejected", "error", "error"]
    assert [request.attributes.get(names.STREAM) for request in requests[:5]] == [None, None, None, True, True]
    assert [request.attributes.get(names.COLD_START) for request in requests] == [True] + [None] * 7


def test_texts_voices_and_languages(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact.get(names.TEXT_LENGTH) for fact in facts] == [44, 44, None, 44, 44, 44, 1, 2]
    assert [fact[names.TEXT_LANGUAGE] for fact in facts[:4]] == ["en-us", "en-gb", "en-us", "en-us"]
    assert facts[PLAIN][names.VOICE] == "jf_alpha" and facts[PLAIN][names.VOICE_SOURCE] == "preset"
    assert facts[TIMED][names.VOICE].startswith("v-")
    assert names.VOICE not in facts[PHONEMES] and names.VOICE_SOURCE not in facts[PHONEMES]


@pytest.mark.parametrize(
    ("which", "stages"),
    [
        (PLAIN, [*VOICE, "model", "text_frontend", "model", "postprocess"]),
        (PHONEMES, ["text_frontend", "model", "postprocess"]),
        (STREAM, [*VOICE, "model", "text_frontend", "model", "postprocess"]),
        (NOBODY, []),
        (NOTHING, VOICE),
    ],
)
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int, stages: list[str]) -> None:
    """What makes tokens of the phonemes is called for each piece: one span, where the last call was."""
    request = traced.requests()[which]
    assert traced.stage_names(request) == stages
    assert {stage.parent_id for stage in traced.stages(request)} <= {request.span_id}
    assert request.attributes.get(names.SEGMENT_COUNT, 0) == stages.count("model")
    for earlier, later in itertools.pairwise(traced.stages(request)):
        assert earlier.end <= later.start


def test_a_run_of_the_graph_is_no_stage_of_its_own_inside_the_models(traced: Run) -> None:
    models = [stage for stage in traced.spans if stage.attributes.get(names.STAGE) == "model"]
    assert not {stage.parent_id for stage in models} & {stage.span_id for stage in models}
    assert {stage.attributes[names.TIMING_MODE] for stage in models} == {"host"}


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for which, name in ((PLAIN, "plain"), (TIMED, "timed"), (PHONEMES, "phonemes"), (STREAM, "stream"), (LEFT, "left")):
        samples = np.load(traced.out / f"{name}.npy")
        facts = traced.requests()[which].attributes
        assert facts[names.AUDIO_SAMPLE_RATE] == 24000 and facts[names.AUDIO_CHANNELS] == 1
        assert facts[names.AUDIO_DURATION] == pytest.approx(len(samples) / 24000)
        assert facts[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), rel=1e-3)
        assert facts[names.AUDIO_RMS] == pytest.approx(np.sqrt(np.mean(np.square(samples))), rel=1e-3)


def test_a_stream_and_one_that_was_left(traced: Run) -> None:
    stream, left = (traced.requests()[which].attributes for which in (STREAM, LEFT))
    assert stream[names.STREAM_CHUNKS] == 2 and left[names.STREAM_CHUNKS] == 1
    assert stream[names.TIME_TO_FIRST_BYTE] < stream[names.AUDIO_DURATION] * stream[names.REAL_TIME_FACTOR]


def test_loading_the_model_is_measured(traced: Run) -> None:
    (point,) = traced.sink.latest("tts.model.load.duration")
    assert point.count == 1 and point.value > 0


def test_nothing_that_was_said_leaves(traced: Run) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel-tts" in line or "REQ_" in line)
    assert "REQ_START" in ours and b"kokoro-onnx" in traced.raw
    for word in ("quincebread", "dawnfall", "whispers", "brook", SECRET, "nobodyknows", "voices.npz", "kokoro.onnx"):
        assert word.encode() not in traced.raw.lower()
        assert word not in ours.lower()

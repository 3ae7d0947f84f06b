# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""supertonic's own code on graphs of half a kilobyte, under the launcher: whole, in chunks, a batch, refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spoken import SECRET, Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.supertonic import ENGINE

PLAIN, CHUNKS, BATCH, SAVED = range(4)
EMPTY, LONG, LANGUAGE, FAST, EMOJI, BROKEN = range(-6, 0)
FRONT = ["text_frontend", "text_frontend", "text_frontend"]


@pytest.fixture(scope="module")
def runs(twice: Callable[[str, Path], tuple[Run, Run]], supertonic_files: Path) -> tuple[Run, Run]:
    return twice("say_supertonic.py", supertonic_files)


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


@pytest.mark.parametrize("name", ["plain.npy", "chunks.npy", "batch.npy", "emoji.npy"])
def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run], name: str) -> None:
    without, traced = (run.audio()[name] for run in runs)
    assert len(without) > 10_000
    assert traced == without


def test_what_the_caller_sees_is_the_same(runs: tuple[Run, Run]) -> None:
    without, traced = runs
    assert traced.seen == without.seen
    refused = [traced.seen[name] for name in ("empty", "long", "language", "fast", "emoji", "broken")]
    assert refused == ["ValueError"] * 4 + ["none", "ValueError"]


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert len(requests) == 13 and len({request.trace_id for request in requests}) == 13
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "supertonic" and facts[names.ENGINE_VERSION] == "1.3.1"
        assert facts[names.DEVICE] == "cpu" and names.FINISH_REASON not in facts  # its length is known before
    assert requests[PLAIN].attributes[names.MODEL] == "supertonic-3"
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert outcomes == ["ok"] * 7 + ["rejected"] * 3 + ["error", "ok", "error"]  # a speed is looked at in the model


def test_texts_voices_and_languages(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in (*facts[:3], facts[EMPTY], facts[LONG])] == [44, 44, 29, 0, 100_001]
    assert [fact.get(names.TEXT_LANGUAGE) for fact in facts[:3]] == ["en", "fr", "en"]
    assert facts[PLAIN][names.VOICE] == "M1" and facts[PLAIN][names.VOICE_SOURCE] == "preset"
    assert facts[CHUNKS][names.VOICE].startswith("v-") and facts[CHUNKS][names.VOICE_SOURCE] == "reference"
    assert names.VOICE not in facts[BATCH] and names.VOICE_SOURCE not in facts[BATCH]


@pytest.mark.parametrize(("which", "chunks", "steps"), [(PLAIN, 1, 3), (CHUNKS, 2, 6), (BATCH, 1, 2), (SAVED, 1, 1)])
def test_each_graph_is_a_stage_and_its_steps_are_one_span(traced: Run, which: int, chunks: int, steps: int) -> None:
    request = traced.requests()[which]
    stages = traced.stage_names(request)
    for graph in ("duration", "acoustic_model", "vocoder"):
        assert stages.count(graph) == chunks
    assert stages.count("flow") == 1 and "model" not in stages
    (flow,) = (stage for stage in traced.stages(request) if stage.attributes[names.STAGE] == "flow")
    assert flow.attributes.get(names.STAGE_SEGMENTS, 1) == steps
    assert {stage.parent_id for stage in traced.stages(request)} == {request.span_id}
    assert request.attributes[names.SEGMENT_COUNT] == chunks
    assert stages.count("text_frontend") == (1 if which == BATCH else 2 + chunks)


def test_calls_at_once_keep_their_stages(traced: Run) -> None:
    both = traced.requests()[4:6]
    steps = {
        stage.attributes.get(names.STAGE_SEGMENTS, 1)
        for request in both for stage in traced.stages(request) if stage.attributes[names.STAGE] == "flow"
    }  # fmt: skip
    assert steps == {2, 5}


@pytest.mark.parametrize(("which", "name"), [(PLAIN, "plain"), (CHUNKS, "chunks"), (BATCH, "batch")])
def test_the_facts_are_those_of_the_samples(traced: Run, which: int, name: str) -> None:
    facts, samples = traced.requests()[which].attributes, np.load(traced.out / f"{name}.npy")
    assert facts[names.AUDIO_DURATION] == pytest.approx(samples.size / 44100)
    assert facts[names.AUDIO_CHANNELS] == 1 and facts[names.AUDIO_SAMPLE_RATE] == 44100
    assert facts[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), abs=1e-4)
    assert names.AUDIO_ANOMALY not in facts


def test_a_graph_that_fails_is_the_stage_that_failed(traced: Run) -> None:
    request = traced.requests()[BROKEN]
    (failed,) = (stage for stage in traced.stages(request) if names.ERROR_TYPE in stage.attributes)
    # The graph that predicts durations was put where the vocoder is: a run is told by its graph, not by its place.
    assert failed.attributes[names.STAGE] == "duration"
    assert failed.attributes[names.ERROR_TYPE] == traced.seen["broken"] == request.attributes[names.ERROR_TYPE]


def test_neither_text_nor_voice_leaves(traced: Run) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel" in line.lower() or "REQ_" in line)
    assert "REQ_SUCCESS" in ours and b"supertonic" in traced.raw
    for word in ("quincebread", "dawnfall", "whispers", "brook", SECRET, "voice_styles", "vocoder.onnx"):
        assert word.encode() not in traced.raw.lower()
        assert word not in ours.lower()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-TTS under the launcher: presets, designs and clones, batches, its end and its limit, refusals, no memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import nothing_said, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.qwen_tts import ENGINE

FILES = ("preset", "limit", "batch", "design", "clone", "samples", "prompt")
PRESET, LIMIT, BATCH, DESIGN, CLONE, SAMPLES, PROMPT = range(7)
BOTH = slice(7, 9)
EMPTY, KIND, NOBODY, MISSING, MEMORY = range(9, 14)
PLAIN = ["text_frontend", "acoustic_model", "vocoder"]


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("qwen_tts")


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


@pytest.mark.parametrize("name", [*FILES, "empty"])
def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run], name: str) -> None:
    without, traced = runs
    audio = (without.out / f"{name}.npy").read_bytes()
    assert len(audio) > 1000
    assert (traced.out / f"{name}.npy").read_bytes() == audio


def test_what_the_caller_sees_is_the_same(runs: tuple[Run, Run]) -> None:
    assert runs[1].seen == runs[0].seen | {"ours_first": True}
    refused = [runs[0].seen[name] for name in ("kind", "nobody", "missing", "memory")]
    assert refused == ["ValueError", "ValueError", "FileNotFoundError", "OutOfMemoryError"]


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert len(requests) == 14 and len({request.trace_id for request in requests}) == 14
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "qwen-tts" and facts[names.ENGINE_VERSION] == "0.1.1"
        assert facts[names.DEVICE] == "cpu"
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert set(outcomes[:10]) <= {"ok", "anomalous"}  # untrained, it hums
    assert outcomes[KIND:] == ["rejected", "rejected", "error", "error"]
    models = [requests[which].attributes[names.MODEL] for which in (PRESET, DESIGN, CLONE)]
    assert models == ["qwen3-tts-1b7-custom_voice", "qwen3-tts-1b7-voice_design", "qwen3-tts-1b7-base"]


def test_texts_languages_and_voices(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in facts[:7]] == [34, 34, 43, 34, 34, 34, 34]
    assert [fact.get(names.TEXT_LANGUAGE) for fact in facts[:5]] == ["en", None, "zh", "en", "en"]
    sources = [fact[names.VOICE_SOURCE] for fact in facts[:7]]
    assert sources == ["preset"] * 3 + ["description"] + ["reference"] * 3
    assert facts[PRESET][names.VOICE] == "vivian" and facts[LIMIT][names.VOICE].startswith("v-")
    assert names.VOICE not in facts[BATCH] and names.VOICE not in facts[DESIGN] and names.VOICE not in facts[SAMPLES]
    assert facts[CLONE][names.VOICE] == facts[PROMPT][names.VOICE]
    for which in (CLONE, PROMPT):
        assert facts[which][names.REFERENCE_DURATION] == 1.0 and facts[which][names.REFERENCE_SAMPLE_RATE] == 24000
    hits = [fact.get(names.REFERENCE_CACHE_HIT) for fact in facts[:7]]
    assert hits == [None] * 4 + [False, False, True]


@pytest.mark.parametrize(
    ("which", "stages"),
    [
        (PRESET, PLAIN),
        (BATCH, PLAIN),
        (DESIGN, PLAIN),
        (CLONE, ["reference_encode", "reference_encode", *PLAIN]),
        (PROMPT, PLAIN),
        (KIND, []),
        (NOBODY, []),
        (MEMORY, PLAIN),
    ],
)
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int, stages: list[str]) -> None:
    request = traced.requests()[which]
    found = [stage.attributes[names.STAGE] for stage in traced.stages(request)]
    assert found == stages
    assert {stage.parent_id for stage in traced.stages(request)} <= {request.span_id}


def test_why_each_generation_ended(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert (facts[LIMIT][names.GENERATION_STEPS], facts[LIMIT][names.GENERATION_LIMIT]) == (4, 4)
    assert facts[LIMIT][names.FINISH_REASON] == "length"
    assert names.Anomaly.LIMIT_REACHED in facts[LIMIT][names.AUDIO_ANOMALY]
    frames = np.load(traced.out / "preset.npy").size / 1920
    for fact in (facts[PRESET], facts[BATCH]):
        assert fact[names.GENERATION_LIMIT] == 39
        at_limit = fact[names.GENERATION_STEPS] == 39
        assert fact[names.FINISH_REASON] == ("length" if at_limit else "stop")
    assert facts[PRESET][names.GENERATION_STEPS] == frames
    assert "stop" in [fact.get(names.FINISH_REASON) for fact in facts]
    assert facts[BATCH][names.SEGMENT_COUNT] == 2
    assert facts[MEMORY][names.FINISH_REASON] in ("stop", "length")  # it was the codec that had no memory


def test_requests_at_once_have_limits_of_their_own(traced: Run) -> None:
    assert {request.attributes[names.GENERATION_LIMIT] for request in traced.requests()[BOTH]} == {5, 8}


def test_no_memory_is_an_error_of_the_stage(traced: Run) -> None:
    request = traced.requests()[MEMORY]
    assert request.attributes[names.ERROR_TYPE] == "torch.OutOfMemoryError"
    assert traced.stages(request)[-1].attributes[names.ERROR_TYPE] == "torch.OutOfMemoryError"


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for which, name in enumerate(FILES):
        samples_agree(traced.requests()[which], np.load(traced.out / f"{name}.npy"), 24000)


def test_loading_is_a_span_of_its_own(traced: Run) -> None:
    assert len([span for span in traced.spans if span.name == names.SPAN_MODEL_LOAD]) == 3


def test_neither_text_nor_prompt_nor_reference_leaves(traced: Run) -> None:
    nothing_said(traced, "qwen-tts")

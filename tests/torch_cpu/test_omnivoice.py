# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OmniVoice under the launcher: by itself, described, cloned, in a batch, in chunks, refused, without memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import nothing_said, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.omnivoice import ENGINE

FILES = ("auto", "batch", "design", "clone", "prompt", "chunks")
AUTO, BATCH, DESIGN, CLONE, PROMPT, CHUNKS = range(6)
BOTH = slice(6, 8)
MISSING, INSTRUCT, MEMORY = range(8, 11)
PLAIN = ["acoustic_model", "vocoder"]


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("omnivoice")


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    same_audio(*runs, *FILES)
    assert runs[1].seen == runs[0].seen | {"ours_first": True}


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert len(requests) == 11 and len({request.trace_id for request in requests}) == 11
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "omnivoice" and facts[names.ENGINE_VERSION] == "0.2.1"
        assert facts[names.DEVICE] == "cpu" and names.FINISH_REASON not in facts  # its length is known before
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert set(outcomes[:8]) <= {"ok", "anomalous"}  # untrained, it hums
    assert outcomes[MISSING:] == ["error", "rejected", "error"]


def test_texts_languages_and_voices(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in facts[:6]] == [34, 43, 34, 34, 34, 200]
    assert [fact.get(names.TEXT_LANGUAGE) for fact in facts[:3]] == ["en", "de", None]
    sources = [fact[names.VOICE_SOURCE] for fact in facts[:6]]
    assert sources == ["default", "default", "description", "reference", "reference", "default"]
    assert facts[CLONE][names.VOICE] == facts[PROMPT][names.VOICE] != ""
    for which in (CLONE, PROMPT):
        assert facts[which][names.REFERENCE_DURATION] == 1.0 and facts[which][names.REFERENCE_SAMPLE_RATE] == 24000
    assert [facts[which][names.REFERENCE_CACHE_HIT] for which in (CLONE, PROMPT)] == [False, True]


@pytest.mark.parametrize(
    ("which", "stages"),
    [
        (AUTO, PLAIN),
        (BATCH, PLAIN),
        (CLONE, ["reference_encode", *PLAIN]),
        (PROMPT, PLAIN),
        (CHUNKS, PLAIN),
        (MISSING, ["reference_encode"]),
        (INSTRUCT, []),
        (MEMORY, PLAIN),
    ],
)
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int, stages: list[str]) -> None:
    request = traced.requests()[which]
    assert [stage.attributes[names.STAGE] for stage in traced.stages(request)] == stages
    assert {stage.parent_id for stage in traced.stages(request)} <= {request.span_id}


def test_a_batch_and_a_long_text_are_several_segments(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.SEGMENT_COUNT] for fact in (facts[AUTO], facts[BATCH])] == [1, 2]
    assert facts[CHUNKS][names.SEGMENT_COUNT] > 1
    assert {fact[names.SEGMENT_COUNT] for fact in facts[BOTH]} == {1, 2}


def test_no_memory_is_an_error_of_the_stage(traced: Run) -> None:
    assert traced.stages(traced.requests()[MEMORY])[-1].attributes[names.ERROR_TYPE] == "torch.OutOfMemoryError"


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for which, name in enumerate(FILES):
        samples_agree(traced.requests()[which], np.load(traced.out / f"{name}.npy"), 24000)


def test_neither_text_nor_prompt_nor_reference_leaves(traced: Run) -> None:
    nothing_said(traced, "omnivoice")

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Coqui's VITS and XTTS under the launcher: sentences, a file, a clone, by hand, streamed, left, refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import nothing_said, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.coqui import ENGINE

FILES = {"vits": 22050, "xtts": 24000, "ends": 24000, "hand": 24000, "stream": 24000, "left": 24000}
VITS, FILE, XTTS, ENDS, HAND, STREAM, LEFT, EMPTY, UNKNOWN, LONG, MEMORY = range(11)
WHICH = dict(zip(FILES, (VITS, XTTS, ENDS, HAND, STREAM, LEFT), strict=True))
SENTENCE = ["reference_encode", "text_frontend", "acoustic_model", "gpt_forward", "vocoder"]


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("coqui")


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
        assert facts[names.ENGINE] == "coqui-tts" and facts[names.ENGINE_VERSION] == "0.28.0"
        assert facts[names.DEVICE] == "cpu"
    assert [request.attributes[names.MODEL] for request in requests[:7]] == ["vits"] * 2 + ["xtts"] * 5
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert set(outcomes[:LEFT]) <= {"ok", "anomalous"}  # untrained, it hums
    assert outcomes[LEFT:] == ["cancelled", "rejected", "error", "error", "error"]


def test_texts_languages_and_references(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in facts[:7]] == [34, 34, 34, 9, 8, 8, 8]
    assert [facts[which].get(names.TEXT_LANGUAGE) for which in (VITS, XTTS, ENDS, STREAM)] == [None, "en", "de", "en"]
    sources = [fact[names.VOICE_SOURCE] for fact in facts[:7]]
    assert sources == ["default"] * 2 + ["reference"] * 5
    for which in (XTTS, ENDS):
        assert facts[which][names.VOICE] == facts[XTTS][names.VOICE]
        assert facts[which][names.REFERENCE_DURATION] == 2.0 and facts[which][names.REFERENCE_SAMPLE_RATE] == 22050


@pytest.mark.parametrize(
    ("which", "stages"),
    [
        (VITS, ["text_frontend", *["text_frontend", "model", "vocoder"] * 2]),
        (XTTS, ["text_frontend", *SENTENCE * 2]),
        (HAND, SENTENCE[1:]),
        (UNKNOWN, ["text_frontend", "text_frontend", "model"]),
        (LONG, ["text_frontend"]),
        (EMPTY, []),
        (MEMORY, ["text_frontend", *SENTENCE[:3]]),
    ],
)
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int, stages: list[str]) -> None:
    request = traced.requests()[which]
    assert [stage.attributes[names.STAGE] for stage in traced.stages(request)] == stages


def test_a_stream_overlaps_its_tokens_with_its_decoder(traced: Run) -> None:
    request = traced.requests()[STREAM]
    found = [stage.attributes[names.STAGE] for stage in traced.stages(request)]
    assert found.count("acoustic_model") == 1 and found.count("vocoder") == traced.seen["chunks"] == 3
    assert request.attributes[names.STREAM_CHUNKS] == 3


def test_why_each_generation_ended(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    for which in (XTTS, HAND, STREAM):
        assert (facts[which][names.GENERATION_STEPS], facts[which][names.GENERATION_LIMIT]) == (27, 27)
        assert facts[which][names.FINISH_REASON] == "length"
        assert names.Anomaly.LIMIT_REACHED in facts[which][names.AUDIO_ANOMALY]
    assert facts[ENDS][names.FINISH_REASON] == "stop" and facts[ENDS][names.GENERATION_STEPS] < 27
    assert facts[LEFT][names.FINISH_REASON] == "aborted" and facts[LEFT][names.GENERATION_STEPS] == 10
    assert names.FINISH_REASON not in facts[VITS]


def test_no_memory_is_an_error_of_the_stage(traced: Run) -> None:
    assert traced.stages(traced.requests()[MEMORY])[-1].attributes[names.ERROR_TYPE] == "torch.OutOfMemoryError"


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for name, rate in FILES.items():
        samples_agree(traced.requests()[WHICH[name]], np.load(traced.out / f"{name}.npy"), rate)


def test_neither_text_nor_reference_leaves(traced: Run) -> None:
    nothing_said(traced, "coqui-tts")

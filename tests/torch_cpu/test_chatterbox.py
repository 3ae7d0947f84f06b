# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Chatterbox and its turbo under the launcher: cloned, with the same voice again, cut at a limit, no memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import nothing_said, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.chatterbox import ENGINE
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look

FILES = {"cloned": 1, "again": 2, "turbo": 3, "limit": 4, "many": 6}
UNREADY, CLONED, AGAIN, TURBO, LIMIT, MEMORY, MANY, STRANGE = range(8)
SPEECH = ["acoustic_model", "flow", "vocoder", "postprocess"]


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("chatterbox")


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
    assert len(requests) == 8 and len({request.trace_id for request in requests}) == 8
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "chatterbox" and facts[names.ENGINE_VERSION] == "0.1.7"
        assert facts[names.DEVICE] == "cpu"
        assert facts[names.TEXT_LENGTH] == 34
    languages = [request.attributes[names.TEXT_LANGUAGE] for request in requests]
    assert languages == ["en"] * 6 + ["fr", "tlh"]
    models = [request.attributes[names.MODEL] for request in requests]
    assert models == ["chatterbox"] * 3 + ["chatterbox-turbo"] * 3 + ["chatterbox-multilingual"] * 2
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert {*outcomes[CLONED:MEMORY], outcomes[MANY]} <= {"ok", "anomalous"}  # untrained, it hums
    assert [outcomes[which] for which in (UNREADY, MEMORY, STRANGE)] == ["error", "error", "rejected"]


def test_a_reference_stays_for_the_requests_after_it(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert names.VOICE not in facts[UNREADY] and facts[UNREADY][names.VOICE_SOURCE] == "default"
    assert len({facts[which][names.VOICE] for which in (CLONED, AGAIN, TURBO, LIMIT)}) == 1
    hits = [facts[which][names.REFERENCE_CACHE_HIT] for which in (CLONED, AGAIN, TURBO, LIMIT)]
    assert hits == [False, True, False, True]
    for which in (CLONED, AGAIN):
        assert facts[which][names.REFERENCE_DURATION] == 6.0 and facts[which][names.REFERENCE_SAMPLE_RATE] == 24000


@pytest.mark.parametrize(
    ("which", "stages"),
    [
        (UNREADY, []),
        (CLONED, ["reference_encode", "text_frontend", "text_frontend", *SPEECH]),
        (AGAIN, ["text_frontend", "text_frontend", *SPEECH]),
        (MANY, ["reference_encode", "text_frontend", "text_frontend", *SPEECH]),
        (STRANGE, []),
        (TURBO, ["reference_encode", "text_frontend", *SPEECH]),
        (MEMORY, ["text_frontend", "acoustic_model", "flow", "vocoder"]),
    ],
)
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int, stages: list[str]) -> None:
    request = traced.requests()[which]
    assert [stage.attributes[names.STAGE] for stage in traced.stages(request)] == stages
    assert {stage.parent_id for stage in traced.stages(request)} <= {request.span_id}


def test_why_each_generation_ended(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    for which, limit in ((CLONED, 1000), (AGAIN, 1000), (TURBO, 1001), (MANY, 1000)):
        assert facts[which][names.FINISH_REASON] == "stop"
        assert 0 < facts[which][names.GENERATION_STEPS] < facts[which][names.GENERATION_LIMIT] == limit
    assert (facts[LIMIT][names.GENERATION_STEPS], facts[LIMIT][names.GENERATION_LIMIT]) == (3, 3)
    assert facts[LIMIT][names.FINISH_REASON] == "length"
    assert names.Anomaly.LIMIT_REACHED in facts[LIMIT][names.AUDIO_ANOMALY]


def test_no_memory_is_an_error_of_the_stage(traced: Run) -> None:
    failed = traced.stages(traced.requests()[MEMORY])[-1]
    assert failed.attributes[names.ERROR_TYPE].endswith("OutOfMemoryError")


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for name, which in FILES.items():
        samples_agree(traced.requests()[which], np.load(traced.out / f"{name}.npy"), 24000)


def test_neither_text_nor_reference_leaves(traced: Run) -> None:
    nothing_said(traced, "chatterbox")

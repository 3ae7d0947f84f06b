# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""transformers under the launcher: its pipeline with two models, and the models without it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import inside, nothing_said, parts_of, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.transformers import ENGINE

VITS = ["acoustic_model", "duration", "flow", "vocoder"]
PIPELINE, BATCH, MODEL, LAZY_FIRST, LAZY_SECOND, SPEECHT5, SPEECHT5_PIPELINE, BARK, SPEECHT5_BATCH = range(9)
FILES = ("pipeline", "batch", "vits", "lazy", "speecht5", "speecht5_pipeline", "bark", "speecht5_batch")


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("transformers")


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    same_audio(*runs, *FILES)


def test_models_are_imported_when_they_are_asked_for_as_before(runs: tuple[Run, Run]) -> None:
    assert runs[1].seen == runs[0].seen | {"ours_first": True} and runs[1].seen["lazy"] is True


def test_one_synthesis_for_each_call_and_for_each_text_that_is_taken_late(traced: Run) -> None:
    requests = traced.requests()
    models = ["vits"] * 5 + ["speecht5"] * 2 + ["bark", "speecht5"]
    assert [request.name for request in requests] == [f"text_to_speech {model}" for model in models]
    assert len({request.trace_id for request in requests}) == 9
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "transformers" and facts[names.ENGINE_VERSION] == traced.seen["version"]
        assert facts[names.DEVICE] == "cpu" and facts[names.OUTCOME] in ("ok", "anomalous")  # untrained, they hum
    lengths = [request.attributes.get(names.TEXT_LENGTH) for request in requests]
    assert lengths == [45, 53, None, None, None, None, 45, None, None]
    assert [request.attributes[names.SEGMENT_COUNT] for request in requests] == [1, 2, 1, 1, 1, 1, 1, 1, 2]


def test_every_network_is_a_stage(traced: Run) -> None:
    parts = [parts_of(traced, request) for request in traced.requests()]
    assert parts[PIPELINE] == ["text_frontend", *VITS, "postprocess"]
    assert sorted(parts[BATCH]) == sorted(parts[PIPELINE] * 2)
    assert parts[MODEL] == parts[LAZY_FIRST] == parts[LAZY_SECOND] == VITS
    assert parts[SPEECHT5] == parts[SPEECHT5_BATCH] == ["acoustic_model"]
    assert parts[SPEECHT5_PIPELINE] == ["text_frontend", "acoustic_model", "vocoder", "postprocess"]
    assert parts[BARK] == ["acoustic_model", "coarse", "fine", "vocoder"]
    assert [found for found in inside(traced, "acoustic_model") if found] == [["vocoder"]] * 2


def test_barks_tokens_have_a_limit_that_the_caller_gives(traced: Run) -> None:
    facts = traced.requests()[BARK].attributes
    assert (facts[names.GENERATION_STEPS], facts[names.GENERATION_LIMIT]) == (20, 20)
    assert facts[names.FINISH_REASON] == "length"


@pytest.mark.parametrize("which", [SPEECHT5, SPEECHT5_PIPELINE])
def test_speecht5s_frames_have_a_limit_by_the_text(traced: Run, which: int) -> None:
    """It was told to make as many at the least as at the most."""
    facts = traced.requests()[which].attributes
    assert facts[names.FINISH_REASON] == "length"
    assert facts[names.GENERATION_STEPS] == facts[names.GENERATION_LIMIT] == traced.seen["ids"] // 2


def test_speecht5_stops_by_itself(traced: Run) -> None:
    """As soon as it might: what decides it was told to be sure of the end at once."""
    facts = traced.requests()[SPEECHT5_BATCH].attributes
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_LIMIT]) == ("stop", traced.seen["ids"] // 2)
    assert facts[names.GENERATION_STEPS] == traced.seen["ids"] // 4


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    requests = traced.requests()
    rates = {"pipeline": 16000, "batch": 16000, "vits": 16000, "speecht5": 16000, "bark": 24000}
    for name, rate in rates.items():
        which = {"vits": MODEL, "speecht5": SPEECHT5, "bark": BARK}.get(name, FILES.index(name))
        samples_agree(requests[which], np.load(traced.out / f"{name}.npy"), rate)
    late = sum(requests[which].attributes[names.AUDIO_DURATION] for which in (LAZY_FIRST, LAZY_SECOND))
    assert late == pytest.approx(len(np.load(traced.out / "lazy.npy")) / 16000)


def test_nothing_that_was_said_leaves(traced: Run) -> None:
    nothing_said(traced, "transformers")

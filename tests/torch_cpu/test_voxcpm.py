# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""VoxCPM under the launcher: 1 and 2, whole and streamed, its end, its limit, what it tries again, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import nothing_said, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.voxcpm import ENGINE

FILES = ("whole", "stream", "reference", "first", "limit", "retried", "cut", "left")
WHOLE, STREAM, REFERENCE, FIRST, LIMIT, RETRIED, CUT, LEFT = range(8)
EMPTY, MISSING, UNABLE, MEMORY = range(10, 14)


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("voxcpm")


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
    assert len(requests) == 14 and len({request.trace_id for request in requests}) == 14
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "voxcpm" and facts[names.ENGINE_VERSION] == "2.0.3"
        assert facts[names.DEVICE] == "cpu"
    models = [requests[which].attributes[names.MODEL] for which in (WHOLE, FIRST, UNABLE)]
    assert models == ["voxcpm2", "voxcpm", "voxcpm"]
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert set(outcomes[:LEFT]) <= {"ok", "anomalous"}  # untrained, it hums
    assert outcomes[LEFT] == "cancelled"
    assert outcomes[EMPTY:] == ["rejected", "error", "rejected", "error"]


def test_texts_and_references(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in facts[:6]] == [34, 34, 34, 34, 34, 2]
    for which in (REFERENCE, FIRST):
        assert facts[which][names.VOICE].startswith("v-") and facts[which][names.VOICE_SOURCE] == "reference"
        assert facts[which][names.REFERENCE_DURATION] == 1.0 and facts[which][names.REFERENCE_SAMPLE_RATE] == 16000
    assert facts[WHOLE][names.VOICE_SOURCE] == "default" and names.VOICE not in facts[WHOLE]


@pytest.mark.parametrize(
    ("which", "stages"),
    [
        (WHOLE, ["acoustic_model", "vocoder"]),
        (STREAM, ["acoustic_model", "vocoder"]),
        (REFERENCE, ["reference_encode", "acoustic_model", "vocoder"]),
        (FIRST, ["reference_encode", "acoustic_model", "vocoder"]),
        (RETRIED, ["acoustic_model", "acoustic_model", "acoustic_model", "vocoder"]),
        (EMPTY, []),
        (MEMORY, ["acoustic_model"]),
    ],
)
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int, stages: list[str]) -> None:
    request = traced.requests()[which]
    found = [stage.attributes[names.STAGE] for stage in traced.stages(request)]
    assert sorted(found) == sorted(stages)
    assert {stage.parent_id for stage in traced.stages(request)} <= {request.span_id}


def test_why_each_generation_ended(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    ends = [(fact.get(names.GENERATION_STEPS), fact.get(names.FINISH_REASON)) for fact in facts[:8]]
    # 1 counts two patches of the recording that it goes on with
    stopped = [(7, "stop"), (7, "stop"), (4, "stop"), (6, "stop")]
    assert ends == [*stopped, (6, "length"), (22, "length"), (6, "length"), (2, "aborted")]
    assert [facts[which][names.GENERATION_LIMIT] for which in (LIMIT, RETRIED, CUT, LEFT)] == [6, 22, 6, 50]
    assert facts[RETRIED][names.RETRIES] == 2 and names.RETRIES not in facts[LIMIT]
    for which in (LIMIT, RETRIED, CUT):
        assert names.Anomaly.LIMIT_REACHED in facts[which][names.AUDIO_ANOMALY]
    assert facts[MEMORY][names.FINISH_REASON] == "aborted"


def test_a_stream_is_heard_patch_by_patch(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [facts[which].get(names.STREAM_CHUNKS) for which in (STREAM, CUT, LEFT)] == [7, 6, 2]


def test_no_memory_is_an_error_of_the_stage(traced: Run) -> None:
    (stage,) = traced.stages(traced.requests()[MEMORY])
    assert stage.attributes[names.ERROR_TYPE] == "torch.OutOfMemoryError"


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for which, name in enumerate(FILES):
        samples_agree(traced.requests()[which], np.load(traced.out / f"{name}.npy"), 16000 if which == FIRST else 48000)


def test_loading_is_a_span_of_its_own(traced: Run) -> None:
    assert len([span for span in traced.spans if span.name == names.SPAN_MODEL_LOAD]) == 3


def test_neither_text_nor_reference_leaves(traced: Run) -> None:
    nothing_said(traced, "voxcpm")

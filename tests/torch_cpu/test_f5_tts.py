# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""F5-TTS under the launcher: whole, in pieces that run at once, to a file, streamed, left, empty, without memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import nothing_said, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.f5_tts import ENGINE

FILES = ("whole", "pieces", "filed", "stream")
WHOLE, PIECES, FILED, STREAM, LEFT, EMPTY, MISSING, MEMORY = range(8)


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("f5_tts")


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    same_audio(*runs, "whole", "filed", "stream")
    sizes = [np.load(run.out / "pieces.npy").size for run in runs]  # its threads share torch's generator
    assert sizes[0] == sizes[1] > 24000
    assert runs[1].seen == runs[0].seen | {"ours_first": True}


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert len(requests) == 8 and len({request.trace_id for request in requests}) == 8
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "f5-tts" and facts[names.ENGINE_VERSION] == "1.1.22"
        assert facts[names.DEVICE] == "cpu" and facts[names.VOICE_SOURCE] == "reference"
        assert names.FINISH_REASON not in facts  # its length is known before
    outcomes = [request.attributes[names.OUTCOME] for request in requests]
    assert set(outcomes[:LEFT]) <= {"ok", "anomalous"}  # untrained, it hums
    assert outcomes[LEFT:] == ["cancelled", "anomalous", "error", "error"]


def test_texts_and_references(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact[names.TEXT_LENGTH] for fact in facts[:6]] == [34, 500, 34, 34, 34, 0]
    for which in (WHOLE, PIECES, FILED):
        assert facts[which][names.VOICE] == facts[WHOLE][names.VOICE]
        assert facts[which][names.REFERENCE_DURATION] == 1.5 and facts[which][names.REFERENCE_SAMPLE_RATE] == 24000


@pytest.mark.parametrize("which", [WHOLE, STREAM, MEMORY])
def test_every_part_of_the_engine_is_a_stage(traced: Run, which: int) -> None:
    request = traced.requests()[which]
    found = {stage.attributes[names.STAGE] for stage in traced.stages(request)}
    before = {"reference_encode"} if which != STREAM else set()
    assert {"text_frontend", "acoustic_model", "vocoder"} | before <= found


def test_pieces_at_once_are_of_one_trace(traced: Run) -> None:
    request = traced.requests()[PIECES]
    found = [stage for stage in traced.stages(request) if stage.attributes[names.STAGE] == "acoustic_model"]
    assert len(found) == request.attributes[names.SEGMENT_COUNT] > 1
    assert any(a.start < b.end and b.start < a.end for a in found for b in found if a is not b)


def test_a_stream_comes_in_chunks(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert facts[STREAM][names.STREAM] is True and facts[STREAM][names.STREAM_CHUNKS] == traced.seen["chunks"] > 10
    assert facts[LEFT][names.STREAM_CHUNKS] == 1


def test_no_memory_is_an_error_of_the_stage(traced: Run) -> None:
    request = traced.requests()[MEMORY]
    assert request.attributes[names.ERROR_TYPE] == "torch.OutOfMemoryError"
    failed = {stage.attributes.get(names.ERROR_TYPE) for stage in traced.stages(request)}
    assert "torch.OutOfMemoryError" in failed


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for which, name in enumerate(FILES):
        samples_agree(traced.requests()[which], np.load(traced.out / f"{name}.npy"), 24000)


def test_neither_text_nor_reference_leaves(traced: Run) -> None:
    nothing_said(traced, "f5-tts")

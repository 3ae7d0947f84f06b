# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""sherpa-onnx under the launcher: a compiled method, whole and by pieces, stopped, broken, misused, empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spoken import SECRET, Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.sherpa_onnx import ENGINE

WHOLE, STREAM, STOPPED, COMPLETE, BROKEN, MISUSED, NO_ANSWER, EMPTY, RIGHT_TO_LEFT, CONTROL = range(10)


@pytest.fixture(scope="module")
def runs(twice: Callable[[str, Path], tuple[Run, Run]], sherpa_files: Path) -> tuple[Run, Run]:
    return twice("say_sherpa.py", sherpa_files)


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    without, traced = (run.audio() for run in runs)
    assert traced == without
    assert without["whole.npy"] == without["streamed.npy"] == without["pieces.npy"]
    assert len(without["whole.npy"]) > len(without["early.npy"]) > 10_000


def test_the_caller_and_its_callback_see_the_same(runs: tuple[Run, Run]) -> None:
    """No span of ours is current in the callback: it is the caller's code."""
    without, traced = runs
    assert traced.seen == without.seen
    assert traced.seen["pieces"] == [["float32", 0.5, "MainThread", False], ["float32", 1.0, "MainThread", False]]
    assert len(traced.seen["stopped"]) == 1 and len(traced.seen["last"]) == 2
    assert traced.seen["errors"][:2] == ["KeyError", "TypeError"]
    assert traced.seen["nothing"] == [0, 0, 0]


def test_one_synthesis_for_each_call(traced: Run) -> None:
    requests = traced.requests()
    assert len(requests) == len({request.trace_id for request in requests}) == 10
    facts = [request.attributes for request in requests]
    assert {fact[names.ENGINE] for fact in facts} == {"sherpa-onnx"}
    assert {fact[names.ENGINE_VERSION] for fact in facts} == {"2.0.1"}
    assert {fact[names.TEXT_LANGUAGE] for fact in facts} == {"en-us"}
    assert [fact[names.TEXT_LENGTH] for fact in facts] == [44] * 7 + [0, 5, 2]
    assert {request.name for request in requests} == {"text_to_speech vits"}
    assert {fact[names.DEVICE] for fact in facts} == {"cpu"}
    assert not any(names.VOICE in fact for fact in facts)
    assert [fact.get(names.STREAM, False) for fact in facts] == [index in (1, 2, 3, 4, 6) for index in range(10)]


def test_how_each_call_ended(traced: Run) -> None:
    """A callback that wants no more has cancelled, unless the last piece was made; one that fails is an error."""
    outcomes = [request.attributes[names.OUTCOME] for request in traced.requests()]
    assert outcomes[:4] == ["ok", "ok", "cancelled", "ok"]
    assert outcomes[4:7] == ["error", "error", "error"]  # none of its own: a wrong argument is no refusal either
    assert outcomes[7:] == ["anomalous"] * 3


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for which, name in ((WHOLE, "whole"), (STREAM, "pieces"), (STOPPED, "early")):
        samples = np.load(traced.out / f"{name}.npy")
        facts = traced.requests()[which].attributes
        assert facts[names.AUDIO_SAMPLE_RATE] == 22050 and facts[names.AUDIO_CHANNELS] == 1
        assert facts[names.AUDIO_DURATION] == pytest.approx(len(samples) / 22050)
        assert names.AUDIO_SIZE not in facts  # nothing was delivered as bytes
        assert facts[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), rel=1e-3)
        assert facts[names.AUDIO_RMS] == pytest.approx(np.sqrt(np.mean(np.square(samples))), rel=1e-3)


def test_the_callbacks_pieces_are_the_chunks(traced: Run) -> None:
    facts = [request.attributes for request in traced.requests()]
    assert [fact.get(names.STREAM_CHUNKS) for fact in facts[:4]] == [None, 2, 1, 2]
    whole, stream = traced.requests()[WHOLE], traced.requests()[STREAM]
    assert stream.attributes[names.TIME_TO_FIRST_BYTE] < stream.seconds
    assert whole.attributes[names.AUDIO_DURATION] == stream.attributes[names.AUDIO_DURATION]


def test_loading_the_model_is_measured(traced: Run) -> None:
    (point,) = traced.sink.latest("tts.model.load.duration")
    assert point.count == 1 and point.value > 0


def test_nothing_that_was_said_leaves(traced: Run) -> None:
    ours = "\n".join(line for line in traced.stderr.splitlines() if "otel-tts" in line or "REQ_" in line)
    assert "REQ_START" in ours and b"sherpa-onnx" in traced.raw
    for word in ("quincebread", "dawnfall", "whispers", "brook", "مرحبا", SECRET, "joe.onnx", "tokens.txt"):
        assert word.encode() not in traced.raw.lower()
        assert word not in ours.lower()

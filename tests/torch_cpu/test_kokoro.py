# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""kokoro under the launcher: two segments of a text, phonemes, and a generator that is dropped after its first item."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreeing import inside, nothing_said, parts_of, same_audio, samples_agree
from runs import Run

from otel_tts import names
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.kokoro import ENGINE

pytest.importorskip("kokoro", reason="kokoro has no release for this Python")
SEGMENT = ["text_frontend", "model"]


@pytest.fixture(scope="module")
def runs(spoken: Callable[[str], tuple[Run, Run]]) -> tuple[Run, Run]:
    return spoken("kokoro")


@pytest.fixture(scope="module")
def traced(runs: tuple[Run, Run]) -> Run:
    return runs[1]


def test_the_table_fits_the_installed_version() -> None:
    status = look(ENGINE, Installed())
    assert status.installed and status.lacking == ()


def test_the_audio_is_the_same_to_the_byte(runs: tuple[Run, Run]) -> None:
    same_audio(*runs, "text", "phonemes", "first", "by_hand")
    assert runs[1].seen == runs[0].seen | {"ours_first": True}


def test_each_text_is_one_synthesis_and_phonemes_without_audio_are_none(traced: Run) -> None:
    *requests, _ = traced.requests()
    assert [request.name for request in requests] == ["text_to_speech kokoro-82m"] * 3
    for request in requests:
        facts = request.attributes
        assert facts[names.ENGINE] == "kokoro" and facts[names.ENGINE_VERSION] == "0.9.4"
        assert facts[names.TEXT_LANGUAGE] == "es" and facts[names.DEVICE] == "cpu" and facts[names.STREAM] is True
    assert [request.attributes.get(names.TEXT_LENGTH) for request in requests] == [50, None, 50]
    assert [request.attributes[names.SEGMENT_COUNT] for request in requests] == [2, 1, 1]
    assert [request.attributes[names.OUTCOME] for request in requests] == ["ok", "ok", "cancelled"]
    known, private, _ = (request.attributes[names.VOICE] for request in requests)
    assert known == "ef_dora" and private.startswith("v-")


def test_its_parts_are_stages_and_the_decoder_is_inside_the_network(traced: Run) -> None:
    whole, phonemes, dropped, by_hand = traced.requests()
    assert parts_of(traced, whole) == ["reference_encode", *SEGMENT, *SEGMENT]
    assert parts_of(traced, phonemes) == ["reference_encode", "model"]
    assert parts_of(traced, dropped) == ["reference_encode", *SEGMENT]
    assert parts_of(traced, by_hand) == ["model"]
    assert inside(traced, "model") == [["vocoder"]] * 5


def test_the_network_called_by_hand_is_a_synthesis_of_a_text_that_nobody_knows(traced: Run) -> None:
    by_hand = traced.requests()[-1]
    facts = by_hand.attributes
    assert by_hand.name == "text_to_speech kokoro-82m" and facts[names.OUTCOME] == "ok"
    assert facts[names.ENGINE] == "kokoro" and facts[names.DEVICE] == "cpu"
    assert names.TEXT_LENGTH not in facts and names.VOICE not in facts and names.STREAM not in facts
    assert facts[names.AUDIO_SAMPLE_RATE] == 24000


def test_the_facts_are_those_of_the_samples(traced: Run) -> None:
    for request, name in zip(traced.requests(), ("text", "phonemes", "first", "by_hand"), strict=True):
        samples_agree(request, np.load(traced.out / f"{name}.npy"), 24000)


def test_neither_text_nor_voice_leaves(traced: Run) -> None:
    nothing_said(traced, "kokoro")

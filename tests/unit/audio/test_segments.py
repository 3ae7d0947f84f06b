# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Segments beside each other: loudness, pace, and those that nothing came of."""

from __future__ import annotations

import numpy as np
import pytest

from otel_tts.audio.samples import sound
from otel_tts.audio.samples.segments import MAX_SEGMENTS
from otel_tts.audio.samples.sound import Sound

RATE = 16000


def tone(level: float, seconds: float = 1.0) -> np.ndarray:
    return (level * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32)


def spoken(*segments: tuple[np.ndarray | None, int | None], scale: float | None = None) -> Sound:
    recording = Sound(RATE, scale)
    for samples, characters in segments:
        if samples is not None:
            recording.add(samples)
        recording.end_segment(characters)
    return recording


def test_equal_segments_are_no_distance_apart() -> None:
    facts = spoken((tone(0.1), 15), (tone(0.1), 15), (tone(0.1), 15)).segments()
    assert facts is not None
    assert (facts.spoken, facts.empty) == (3, 0)
    assert facts.loudness == pytest.approx((-20, -20, -20)) and facts.pace == (15, 15, 15)
    assert facts.loudness_deviation == 0 and facts.pace_deviation == 1


def test_one_that_is_louder_and_faster_is_found() -> None:
    facts = spoken((tone(0.1), 15), (tone(0.4, 0.5), 15), (tone(0.1), 15)).segments()
    assert facts is not None
    assert facts.loudness_deviation == pytest.approx(12, abs=0.1)
    assert facts.pace_deviation == pytest.approx(2)


@pytest.mark.parametrize("nothing", [None, tone(0.0), tone(0.0001), np.zeros(0, np.float32)])
def test_a_segment_of_nothing_is_empty(nothing: np.ndarray | None) -> None:
    facts = spoken((tone(0.1), 15), (nothing, 15), (tone(0.1), 15)).segments()
    assert facts is not None and (facts.spoken, facts.empty) == (2, 1)
    assert facts.loudness_deviation == 0, "silence is no voice"


def test_cut_into_chunks_and_as_integers_it_is_the_same() -> None:
    pcm = (tone(0.1) * 32767).astype(np.int16)
    recording = Sound(RATE)
    for chunk in np.array_split(pcm, 7):
        recording.add(chunk)
    recording.end_segment(None)
    facts = recording.segments()
    assert facts is not None and facts.loudness == pytest.approx((-20,), abs=0.1) and facts.pace == ()
    assert facts.loudness_deviation is None, "one has nothing beside it"


def test_what_is_not_a_number_is_left_out() -> None:
    broken = tone(0.1)
    broken[:100] = np.nan
    facts = spoken((broken, 15), (tone(0.1), 15)).segments()
    assert facts is not None and facts.spoken == 2 and facts.loudness_deviation < 0.2


def test_samples_that_cannot_be_read_say_nothing_of_segments() -> None:
    class OnDevice:
        shape = (RATE,)

    recording = Sound(RATE)
    recording.add(OnDevice())
    recording.end_segment(10)
    assert recording.segments() is None
    assert Sound(RATE).segments() is None, "nobody told of any"


def test_without_room_to_wait_the_first_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "MAX_PENDING", 0)
    assert spoken((tone(0.1), 15), (tone(0.1), 15)).segments() is None


def test_many_segments_are_counted_and_the_first_kept() -> None:
    facts = spoken(*[(tone(0.1, 0.01), 1)] * (MAX_SEGMENTS + 10)).segments()
    assert facts is not None and facts.spoken == MAX_SEGMENTS + 10 and len(facts.loudness) == MAX_SEGMENTS

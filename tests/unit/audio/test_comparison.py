# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A delivered file against the samples that the engine gave."""

from __future__ import annotations

import pytest

from otel_tts.audio.files.comparison import judge_file
from otel_tts.audio.files.file import FileFacts
from otel_tts.audio.samples.meter import AudioFacts

HEARD = AudioFacts(duration=4.0, sample_rate=24000, channels=1, samples=96000, silence_ratio=0.25)


def file(duration: float | None = 4.0, rate: int | None = 24000, **facts) -> FileFacts:
    return FileFacts(**{"size": 1000, "format": "wav", "duration": duration, "sample_rate": rate, **facts})


FINE = {
    "the same": file(),
    "padded by a codec": file(4.07),
    "resampled": file(4.0, 44100),
    "resampled by a codec that pads": file(4.05, 48000),
    "a little cut off its silence": file(3.2),
    "a jingle before it": file(9.0),
    "of unknown length": file(None),
    "of unknown rate": file(4.0, None),
}


@pytest.mark.parametrize("name", FINE)
def test_what_services_do_to_audio_is_no_anomaly(name: str) -> None:
    assert judge_file(FINE[name], HEARD) == ()
    assert judge_file(FINE[name]) == ()
    assert judge_file(FINE[name], AudioFacts()) == ()


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_the_same_frames_at_another_rate_play_at_another_speed(rate: int) -> None:
    assert judge_file(file(96000 / rate, rate), HEARD) == ("wrong_sample_rate",)


@pytest.mark.parametrize("duration", [0.5, 1.5, 2.7])
def test_sound_that_is_missing_is_truncated(duration: float) -> None:
    assert judge_file(file(duration), HEARD) == ("truncated",)


def test_a_cut_off_file_is_truncated_whatever_was_heard() -> None:
    assert judge_file(file(4.0, cut=True)) == judge_file(file(4.0, cut=True), HEARD) == ("truncated",)


def test_parts_count_together_and_copies_do_not() -> None:
    assert judge_file(file(1.0), HEARD, parts=3.0) == ()
    assert judge_file(file(1.0), HEARD, parts=1.0) == ("truncated",)
    assert judge_file(file(1.0), HEARD, parts=4.0) == ("truncated",), "the whole was written, a part delivered"


def test_what_the_file_itself_says() -> None:
    assert judge_file(FileFacts(0, "wav", 0.0), HEARD) == ("empty",)
    assert judge_file(file(wrong_format=True), HEARD) == ("wrong_format",)
    assert judge_file(file(errors=1), HEARD) == ("codec_error",)
    assert judge_file(file(2.0, errors=1, cut=True, wrong_format=True)) == (
        "truncated", "wrong_format", "codec_error",
    )  # fmt: skip

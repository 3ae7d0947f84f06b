# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Is the file that was delivered what the engine made? Its facts against those of the samples."""

from __future__ import annotations

from typing import Final

from otel_tts.audio.files.file import FileFacts
from otel_tts.audio.samples.meter import AudioFacts

_SLACK_S: Final = 0.1
"""Seconds by which lengths may differ: codecs pad, services fade."""
_SHARE: Final = 0.02
"""Share of the length by which lengths may differ, beside `_SLACK_S`."""


def judge_file(file: FileFacts, heard: AudioFacts | None = None, parts: float = 0.0) -> tuple[str, ...]:
    """What is wrong with a delivered file, worst first; unknown facts accuse nobody.

    `heard` are the facts of the samples that the engine gave. A service may trim silence, so only sound that is missing
    makes a file truncated, and may resample, so only another rate at the same number of frames is a wrong one. `parts`
    are the seconds of the request's other files: where all together are no longer than the samples, each is a part.
    """
    verdicts = {
        "empty": file.size == 0 or file.duration == 0.0,
        "truncated": file.cut or (heard is not None and _lacks_sound(file, heard, parts)),
        "wrong_sample_rate": heard is not None and _plays_at_another_speed(file, heard),
        "wrong_format": file.wrong_format,
        "codec_error": file.errors > 0,
    }
    return tuple(name for name, found in verdicts.items() if found)


def _slack(seconds: float) -> float:
    return _SLACK_S + _SHARE * seconds


def _lacks_sound(file: FileFacts, heard: AudioFacts, parts: float) -> bool:
    if not file.duration or not heard.duration or _plays_at_another_speed(file, heard):
        return False
    delivered, slack = file.duration, _slack(heard.duration)
    if delivered + parts <= heard.duration + slack:
        delivered += parts
    sound = heard.duration * (1.0 - (heard.silence_ratio or 0.0))
    return delivered < sound - slack


def _plays_at_another_speed(file: FileFacts, heard: AudioFacts) -> bool:
    if not (file.duration and file.sample_rate and heard.duration and heard.sample_rate and heard.samples):
        return False
    if file.sample_rate == heard.sample_rate or abs(file.duration - heard.duration) <= _slack(heard.duration):
        return False
    return abs(file.duration * file.sample_rate - heard.samples) <= _slack(heard.duration) * file.sample_rate

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""examples/own_engine.py: an engine that says itself what its stages are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from otlp_sink import OtlpSink
from traces import BAD, SPOKEN, assert_unsaid, stages, syntheses

PIECE = ["acoustic_model", "vocoder"]


@pytest.fixture
def hum(execute: Callable[..., Any], tmp_path: Path) -> Callable[[str, bool], bytes]:
    """Hum a text, with or without the launcher, and return the file."""

    def run(text: str, launcher: bool) -> bytes:
        done = execute("own_engine.py", "out.wav", launcher=launcher, given=text.encode())
        assert done.returncode == 0, done.stderr
        return (tmp_path / "out.wav").read_bytes()

    return run


def test_the_file_is_the_same_with_and_without(sink: OtlpSink, hum: Callable[[str, bool], bytes]) -> None:
    without = hum(SPOKEN, False)
    assert len(without) > 10_000 and not sink.spans()
    assert hum(SPOKEN, True) == without
    (synthesis,) = syntheses(sink)
    assert synthesis.name == "text_to_speech humming-1"
    letters = sum(map(str.isalpha, SPOKEN))
    facts = synthesis.attributes
    assert facts["tts.engine.name"] == "humming" and facts["tts.text.length"] == len(SPOKEN)
    assert facts["tts.outcome"] == "ok" and facts["tts.stream.chunks"] == -(-letters // 8)
    assert facts["tts.audio.duration"] == pytest.approx((len(without) - 44) / 48000)
    assert stages(sink, synthesis) == ["text_frontend", *PIECE * -(-letters // 8)]
    assert_unsaid(sink)


@pytest.mark.parametrize("kind", ["nothing", "control", "emoji"])
def test_a_text_that_says_nothing_is_seen(sink: OtlpSink, hum: Callable[[str, bool], bytes], kind: str) -> None:
    assert len(hum(BAD[kind], True)) == 44
    (synthesis,) = syntheses(sink)
    assert synthesis.attributes["tts.outcome"] == "anomalous" and synthesis.attributes["tts.audio.anomaly"] == ["empty"]


def test_right_to_left_is_a_text_like_others(sink: OtlpSink, hum: Callable[[str, bool], bytes]) -> None:
    assert hum(BAD["right to left"], True) == hum(BAD["right to left"], False)
    (synthesis,) = syntheses(sink)
    assert synthesis.attributes["tts.outcome"] == "ok"
    assert_unsaid(sink, [BAD["right to left"]])


def test_a_long_text_makes_a_bounded_number_of_spans(sink: OtlpSink, hum: Callable[[str, bool], bytes]) -> None:
    hum(SPOKEN * 50, True)
    (synthesis,) = syntheses(sink)
    assert synthesis.attributes["tts.stream.chunks"] > 200
    assert len(stages(sink, synthesis)) < 70
    hum("!" * 1_000_000, True)
    assert syntheses(sink)[-1].attributes["tts.text.length"] == 1_000_000

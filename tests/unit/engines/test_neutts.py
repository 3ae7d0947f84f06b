# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of NeuTTS on a stand-in of its structure."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_tts import names
from otel_tts.engines import neutts
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.instrumentation.tables import watch

STANDIN = Path(__file__).parents[2] / "standins" / "neutts"
TEXT = "Hello there"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The stand-in, imported anew and hooked as under the launcher: ``engine(kind, …)`` makes one."""
    monkeypatch.syspath_prepend(STANDIN)
    watch(neutts.ENGINE)
    yield lambda kind="NeuTTS", *given: getattr(importlib.import_module("neutts"), kind)(*given)
    for name in [name for name in sys.modules if name.partition(".")[0] == "neutts"]:
        del sys.modules[name]


def test_nothing_of_the_table_is_missing(engine) -> None:
    engine()
    assert look(neutts.ENGINE, Installed()).lacking == ()


def test_a_call_is_one_synthesis_with_its_stages(engine, telemetry) -> None:
    made = engine()
    codes = made.encode_reference("/home/me/purpleotter.wav")
    samples = made.infer(TEXT, codes, "As it was said")
    stages = ["tts.text_frontend", "tts.acoustic_model", "tts.vocoder"]
    assert telemetry.names() == ["tts.model.load", *stages, "text_to_speech neutts"]
    facts = telemetry.span("text_to_speech").attributes
    assert (facts[names.OUTCOME], facts[names.TEXT_LENGTH], facts[names.DEVICE]) == ("ok", 11, "cpu")
    assert facts[names.AUDIO_DURATION] == pytest.approx(samples.size / 24000)
    assert (facts[names.VOICE_SOURCE], facts[names.REFERENCE_CACHE_HIT]) == ("reference", True)
    assert facts[names.REFERENCE_DURATION] == 2.0 and names.VOICE in facts
    assert telemetry.span("tts.text_frontend").attributes[names.STAGE_SEGMENTS] == 2


@pytest.mark.parametrize(("stops", "reason"), [(True, "stop"), (False, "length")])
def test_why_the_model_stopped(engine, telemetry, stops, reason) -> None:
    """The prompt takes 126 steps of the context's 2048."""
    made = engine()
    made.stops = stops
    made.infer(TEXT, made.encode_reference("a.wav"), "As it was said")
    facts = telemetry.span("text_to_speech").attributes
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_LIMIT]) == (reason, 2048 - 126)
    assert facts[names.GENERATION_STEPS] == (3 * 126 if stops else 2048 - 126)


def test_a_stream_is_heard_chunk_by_chunk(engine, telemetry) -> None:
    made = engine("NeuTTS", "neutts-q4-gguf")
    chunks = list(made.infer_stream(TEXT, made.encode_reference("a.wav"), "As it was said"))
    facts = telemetry.span("text_to_speech").attributes
    assert facts[names.STREAM_CHUNKS] == len(chunks) == 4 and facts[names.STREAM] is True
    assert telemetry.span("tts.vocoder").attributes[names.STAGE_SEGMENTS] == 4


def test_a_stream_that_is_left(engine, telemetry) -> None:
    made = engine("NeuTTS", "neutts-q4-gguf")
    stream = made.infer_stream(TEXT, made.encode_reference("a.wav"), "As it was said")
    next(stream)
    stream.close()
    assert telemetry.span("text_to_speech").attributes[names.OUTCOME] == "cancelled"


@pytest.mark.parametrize("way", ["infer", "infer_stream"])
def test_a_speaker_of_the_package_has_a_name(engine, telemetry, way) -> None:
    made = engine("NeuTTS2E", "neutts-2e-gguf")
    list(getattr(made, way)(TEXT, "paul"))
    facts = telemetry.span("text_to_speech").attributes
    assert (facts[names.VOICE], facts[names.VOICE_SOURCE], facts[names.TEXT_LANGUAGE]) == ("paul", "preset", "en")
    assert facts[names.TEXT_LENGTH] == len(TEXT) and names.REFERENCE_DURATION not in facts


def test_an_error_is_the_requests(engine, telemetry) -> None:
    made = engine()
    with pytest.raises(ValueError):
        made.infer("Mute", [], "So")
    facts = telemetry.span("text_to_speech").attributes
    assert (facts[names.OUTCOME], facts[names.ERROR_TYPE]) == ("error", "ValueError")


def test_a_wrong_speaker_is_refused(engine, telemetry) -> None:
    with pytest.raises(ValueError):
        engine("NeuTTS2E").infer(TEXT, "nobody")
    assert telemetry.span("text_to_speech").attributes[names.OUTCOME] == "rejected"


def test_nothing_that_was_said_leaves(engine, telemetry) -> None:
    made = engine()
    made.infer("purpleotter", made.encode_reference("/home/me/secret.wav"), "purpleotter")
    told = telemetry.everything()
    assert "text_to_speech" in told
    assert "purpleotter" not in told and "secret" not in told

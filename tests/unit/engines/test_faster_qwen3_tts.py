# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of faster-qwen3-tts on a stand-in of its structure: it wants a GPU, and so cannot run here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_tts import guard, names
from otel_tts.engines import faster_qwen3_tts
from otel_tts.instrumentation.tables import watch

TEXT = "Purpleotter hums."


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "standins" / "faster_qwen3")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "faster_qwen3_tts"]:
        del sys.modules[name]


def engine(hooked: bool = True, backend: str = "model.FasterQwen3TTS") -> Any:
    if hooked:
        watch(faster_qwen3_tts.ENGINE)
    module, _, name = backend.partition(".")
    return getattr(importlib.import_module(f"faster_qwen3_tts.{module}"), name).from_pretrained("any")


def heard(made: Any) -> list[bytes]:
    """All that an engine gives, whole and streamed."""
    clone = {"ref_audio": "/home/purpleotter.wav", "ref_text": "hums"}
    whole = (
        made.generate_custom_voice(TEXT, "Vivian", "English"),
        made.generate_voice_design(TEXT, "purpleotter", "German"),
        made.generate_voice_clone(TEXT, "Auto", **clone),
    )  # fmt: skip
    streams = (
        made.generate_custom_voice_streaming(TEXT, "Vivian", "English"),
        made.generate_voice_design_streaming(TEXT, "purpleotter", "German"),
        made.generate_voice_clone_streaming(TEXT, "Auto", **clone),
    )
    return [
        *(waves[0].tobytes() for waves, _ in whole),
        *(b"|".join(chunk.tobytes() for chunk, _, _ in stream) for stream in streams),
    ]


@pytest.mark.parametrize("backend", ["model.FasterQwen3TTS", "ggml_backend.GGMLQwen3TTS"])
def test_the_audio_is_the_same_and_every_way_is_a_synthesis(world, backend) -> None:
    expected = heard(engine(False, backend))
    seen = world()
    assert heard(engine(True, backend)) == expected
    roots = requests(seen)
    assert [root.attributes[names.OUTCOME] for root in roots] == ["ok"] * 6
    assert [root.attributes.get(names.STREAM) for root in roots] == [None] * 3 + [True] * 3
    for root in roots:
        assert root.attributes[names.AUDIO_SAMPLE_RATE] == 24000 and root.attributes[names.TEXT_LENGTH] == len(TEXT)
    sources = [root.attributes[names.VOICE_SOURCE] for root in roots]
    assert sources == ["preset", "description", "reference"] * 2
    assert [root.attributes.get(names.TEXT_LANGUAGE) for root in roots[:3]] == ["en", "de", None]
    assert roots[0].attributes[names.VOICE] == "vivian"
    assert not guard.faults


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


@pytest.mark.parametrize(
    ("most", "text", "steps", "limit", "reason"),
    [(2048, "hums", 8, 60, "stop"), (6, "hums", 6, 6, "length"), (2048, "hums " * 9, 19, 19, "length")],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_end_a_limit_and_a_full_cache(world, most, text, steps, limit, reason, streamed) -> None:
    seen, made = world(), engine()
    if streamed:
        list(made.generate_custom_voice_streaming(text, "ryan", "English", max_new_tokens=most, chunk_size=4))
    else:
        made.generate_custom_voice(text, "ryan", "English", max_new_tokens=most)
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.GENERATION_STEPS], facts[names.GENERATION_LIMIT]) == (steps, limit)
    assert facts[names.FINISH_REASON] == reason
    assert (names.Anomaly.LIMIT_REACHED in facts.get(names.AUDIO_ANOMALY, ())) is (reason == "length")


def test_without_graphs_there_is_no_cache_to_fill(world) -> None:
    seen, made = world(), engine()
    list(made.generate_voice_clone_streaming("hums " * 9, "English", "/a.wav", parity_mode=True, max_new_tokens=90))
    (root,) = requests(seen)
    assert (root.attributes[names.GENERATION_STEPS], root.attributes[names.GENERATION_LIMIT]) == (90, 90)


def test_a_reference_that_is_known_is_not_encoded(world) -> None:
    seen, made = world(), engine()
    for given in ({"ref_audio": "/a.wav"}, {"ref_audio": "/a.wav"}, {"voice_clone_prompt": ["known"]}):
        made.generate_voice_clone("hums", "English", **given)
    told = seen.drain().spans
    assert len([span for span in told if span.name == "tts.reference_encode"]) == 1
    assert [root.attributes[names.REFERENCE_CACHE_HIT] for root in requests(seen)] == [False, True, True]


def test_a_stream_that_is_dropped_is_cancelled_where_it_was(world) -> None:
    seen, made = world(), engine()
    stream = made.generate_custom_voice_streaming(TEXT, "ryan", "English", chunk_size=4)
    chunk, rate, _ = next(stream)
    stream.close()
    (root,) = requests(seen)
    facts = root.attributes
    assert facts[names.OUTCOME] == "cancelled" and facts[names.FINISH_REASON] == "aborted"
    assert facts[names.GENERATION_STEPS] == 4
    assert facts[names.AUDIO_DURATION] == pytest.approx(chunk.size / rate)


def test_a_refusal_and_an_empty_text(world) -> None:
    seen, made = world(), engine()
    with pytest.raises(ValueError, match="required"):
        made.generate_voice_clone("hums", "English")
    made.generate_custom_voice("", "ryan", "English")
    outcomes = [root.attributes[names.OUTCOME] for root in requests(seen)]
    assert outcomes == ["error", "anomalous"]


def test_nothing_that_was_said_leaves(telemetry) -> None:
    heard(engine())
    told = telemetry.everything()
    assert "faster-qwen3-tts" in told and "vivian" in told
    assert "purpleotter" not in told.lower() and "hums" not in told


def test_samples_are_the_streams(world) -> None:
    seen, made = world(), engine()
    chunks = [chunk for chunk, _, _ in made.generate_custom_voice_streaming(TEXT, "ryan", "English", chunk_size=4)]
    (root,) = requests(seen)
    assert root.attributes[names.STREAM_CHUNKS] == len(chunks)
    assert root.attributes[names.AUDIO_DURATION] == pytest.approx(np.concatenate(chunks).size / 24000)

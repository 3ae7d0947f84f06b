# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""fish-speech's table on a stand-in of its structure: a worker thread from before, a queue, errors as items."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from otel_tts import guard, names
from otel_tts.engines import fish_speech
from otel_tts.instrumentation.tables import watch

TEXT = "Purpleotter hums."
LLAMA = "fish_speech.models.text2semantic.inference"


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "standins" / "fish_speech")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "fish_speech"]:
        del sys.modules[name]


@pytest.fixture
def made() -> Iterator[Any]:
    """The engine as the server has it: its worker runs before the first request."""
    watch(fish_speech.ENGINE)
    engine = start()
    yield engine
    engine.llama_queue.put(None)


def start() -> Any:
    codec = importlib.import_module("fish_speech.models.dac.inference").load_model("modded_dac_vq", "any")
    waiting = importlib.import_module(LLAMA).launch_thread_safe_queue("any", "cpu", None)
    return importlib.import_module("fish_speech.inference_engine").TTSInferenceEngine(waiting, codec, None, False)


def ask(engine: Any, text: str = TEXT, **changes: Any) -> Any:
    given = {
        "text": text, "reference_id": None, "references": [], "use_memory_cache": "off", "streaming": False,
        "max_new_tokens": 1024, "top_p": 0.8,
    }  # fmt: skip
    return engine.inference(SimpleNamespace(**given | changes))


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


def stages(seen: Any, root: Any) -> list[str]:
    return [
        span.attributes[names.STAGE] for span in sorted(seen.drain().spans, key=lambda span: span.start_time)
        if names.STAGE in span.attributes and span.context.trace_id == root.context.trace_id
    ]  # fmt: skip


def test_the_worker_that_was_there_before_is_in_the_requests_trace(world, made) -> None:
    seen = world()
    (final,) = ask(made)
    (root,) = requests(seen)
    assert sorted(stages(seen, root)) == ["acoustic_model", "llama", "text_frontend", "vocoder"]
    facts = root.attributes
    assert (facts[names.OUTCOME], facts[names.STREAM]) == ("ok", False)
    assert facts[names.TEXT_LENGTH] == len(TEXT) and facts[names.AUDIO_SAMPLE_RATE] == 44100
    assert facts[names.AUDIO_DURATION] == pytest.approx(final.audio[1].size / 44100)
    assert names.VOICE_SOURCE not in facts and names.REFERENCE_CACHE_HIT not in facts
    (model,) = [span for span in seen.spans if span.name == "tts.llama"]
    (around,) = [span for span in seen.spans if span.name == "tts.acoustic_model"]
    assert model.parent.span_id == around.context.span_id
    assert around.parent.span_id == root.context.span_id
    assert not guard.faults


def test_two_requests_in_the_queue_have_each_its_own_model(world, made) -> None:
    seen = world()
    streams = [ask(made, streaming=True), ask(made, "Another one.", streaming=True)]
    for stream in streams:
        next(stream)  # the header: both jobs are in the queue
    for stream in streams:
        list(stream)
    roots = requests(seen)
    assert len(roots) == 2
    for root in roots:
        assert stages(seen, root).count("llama") == 1


def test_a_stream_is_its_segments(world, made) -> None:
    seen = world()
    items = list(ask(made, "<|speaker:0|>Hello there.<|speaker:1|>Hello you.", streaming=True))
    assert [item.code for item in items] == ["header", "segment", "segment", "final"]
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.STREAM], facts[names.STREAM_CHUNKS], facts[names.OUTCOME]) == (True, 2, "ok")
    assert facts[names.AUDIO_DURATION] == pytest.approx(items[-1].audio[1].size / 44100)


def test_a_stream_that_is_dropped_is_cancelled(world, made) -> None:
    seen = world()
    stream = ask(made, "<|speaker:0|>Hello there.<|speaker:1|>Hello you.", streaming=True)
    assert [next(stream).code, next(stream).code] == ["header", "segment"]
    stream.close()
    (root,) = requests(seen)
    assert root.attributes[names.OUTCOME] == "cancelled"


@pytest.mark.parametrize(
    ("most", "wants", "steps", "limit", "reason"),
    [(1024, 8, 8, 204, "stop"), (6, 8, 6, 6, "length"), (0, 999, 204, 204, "length")],
)
def test_an_end_a_limit_and_a_full_context(world, made, most, wants, steps, limit, reason) -> None:
    seen = world()
    made.llama_queue.model.wants = wants
    list(ask(made, max_new_tokens=most))
    (root,) = requests(seen)
    facts = root.attributes
    assert (facts[names.GENERATION_STEPS], facts[names.GENERATION_LIMIT]) == (steps, limit)
    assert facts[names.FINISH_REASON] == reason
    assert (names.Anomaly.LIMIT_REACHED in facts.get(names.AUDIO_ANOMALY, ())) is (reason == "length")


def test_a_reference_is_encoded_once(world, made) -> None:
    seen = world()
    for _ in range(2):
        list(ask(made, reference_id="purpleotter", use_memory_cache="on"))
    first, again = requests(seen)
    assert [root.attributes[names.REFERENCE_CACHE_HIT] for root in (first, again)] == [False, True]
    assert [stages(seen, root).count("reference_encode") for root in (first, again)] == [1, 0]
    assert first.attributes[names.VOICE_SOURCE] == "reference"


def test_references_of_the_request_itself(world, made) -> None:
    seen = world()
    given = [SimpleNamespace(audio=b"one", text="secret"), SimpleNamespace(audio=b"two", text="secret")]
    list(ask(made, references=given))
    (root,) = requests(seen)
    assert stages(seen, root).count("reference_encode") == 2
    assert root.attributes[names.VOICE_SOURCE] == "reference" and names.REFERENCE_CACHE_HIT not in root.attributes


@pytest.mark.parametrize(("changes", "wants", "error"), [({"top_p": 2}, 8, "AssertionError"), ({}, 1, "RuntimeError")])
def test_an_error_that_is_an_item(world, made, changes, wants, error) -> None:
    seen = world()
    made.llama_queue.model.wants = wants
    assert {item.code for item in ask(made, **changes)} == {"error"}  # after the model's own, that there is no audio
    (root,) = requests(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) == ("error", error)


def test_the_audio_is_the_same_without_hooks_and_nothing_that_was_said_leaves(telemetry) -> None:
    def heard(engine: Any) -> list[bytes]:
        whole = list(ask(engine, reference_id="purpleotter"))
        items = whole + list(ask(engine, streaming=True))
        return [np.asarray(item.audio[1]).tobytes() for item in items]

    plain = heard(start())
    for name in [name for name in sys.modules if name.partition(".")[0] == "fish_speech"]:
        del sys.modules[name]
    watch(fish_speech.ENGINE)
    assert heard(start()) == plain
    told = telemetry.everything()
    assert "fish-speech" in told and "purpleotter" not in told.lower() and "hums" not in told

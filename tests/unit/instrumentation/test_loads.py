# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Loading a model: a span and a point of its own, and what makes a request a cold start."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import otel_tts
from otel_tts import names
from otel_tts.engines.table import Chunk, Engine, Entry
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

SOURCE = """
import numpy as np

class Voice:
    loaded = None

    def __init__(self, path):
        if path == "secret-bad.ckpt":
            raise RuntimeError("cannot read " + path)
        self.path = path

    @classmethod
    def load(cls, path):
        return cls(path)

    @classmethod
    async def fetch(cls, path):
        return cls(path)

def speak(text, path="secret-a.ckpt", voice=None):
    if Voice.loaded is None:
        Voice.loaded = Voice.load(path)
    return np.zeros(2400, np.float32) + 0.1 * np.sin(np.arange(2400) / 5)
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch):
    (tmp_path / "lazy_engine.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    watch(
        Engine(
            name="lazy", module="lazy_engine", distribution="", model="small", sample_rate=24000,
            load=("Voice.__init__", "Voice.load", "Voice.fetch"),
            entries=(Entry("speak", chunk=Chunk(), voice="voice", facts={names.VOICE_SOURCE: lambda _: "reference"}),),
        )
    )  # fmt: skip
    yield importlib.import_module("lazy_engine")
    undo(HOOKS)
    sys.modules.pop("lazy_engine")


def loads(seen):
    return [span for span in seen.drain().spans if span.name == "tts.model.load"]


def test_a_model_loaded_before_any_request_is_a_trace_of_its_own(world, engine) -> None:
    seen = world()
    assert engine.Voice.load("secret-a.ckpt").path == "secret-a.ckpt"
    (load,) = loads(seen)
    assert (load.parent, load.status.is_unset) == (None, True)
    assert dict(load.attributes) == {names.ENGINE: "lazy", names.MODEL: "small"}
    assert seen.points("tts.model.load.duration").keys() == {("small", "lazy")}
    assert "secret" not in load.to_json()


def test_a_model_loaded_in_a_request_is_its_child_and_makes_it_a_cold_start(world, engine) -> None:
    seen = world()
    for _ in range(2):
        engine.speak("Hello there")
    (load,) = loads(seen)
    first, second = (span for span in seen.spans if span.name.startswith("text_to_speech"))
    assert (load.context.trace_id, load.parent.span_id) == (first.context.trace_id, first.context.span_id)
    assert first.attributes[names.COLD_START] is True
    assert first.attributes[names.COLD_START_KIND] == ("first_request", "model_load")
    assert names.COLD_START not in second.attributes and names.COLD_START_KIND not in second.attributes


def test_a_later_load_is_a_cold_start_of_another_kind(world, engine) -> None:
    seen = world()
    engine.speak("Hello there")
    engine.Voice.loaded = None
    engine.speak("Hello there")
    assert seen.drain().spans[-1].attributes[names.COLD_START_KIND] == ("model_load",)


def test_a_load_that_fails_is_an_error_and_says_no_path(world, engine) -> None:
    seen = world()
    with pytest.raises(RuntimeError, match="secret-bad"):
        engine.speak("Hello there", path="secret-bad.ckpt")
    (load,) = loads(seen)
    assert load.attributes["error.type"] == "RuntimeError" and not load.status.is_ok
    assert not any("secret" in span.to_json() for span in seen.spans)
    ((labels, (count, _)),) = seen.points("tts.model.load.duration").items()
    assert (labels, count) == (("small", "lazy", "error"), 1)


def test_a_load_that_is_awaited(world, engine) -> None:
    seen = world()
    assert asyncio.run(engine.Voice.fetch("a")).path == "a"
    with pytest.raises(RuntimeError):
        asyncio.run(engine.Voice.fetch("secret-bad.ckpt"))
    assert [load.status.is_unset for load in loads(seen)] == [True, False]


def test_a_loader_inside_a_loader_is_one_load(world, engine) -> None:
    seen = world()
    engine.Voice.load("a")  # which calls __init__
    engine.Voice("b")
    assert len(loads(seen)) == 2
    assert [count for count, _ in seen.points("tts.model.load.duration").values()] == [2]


def test_the_applications_own_spans_in_a_load_are_its_children(world, engine) -> None:
    seen = world()
    tracer = seen.tracers.get_tracer("app")

    class Traced(engine.Voice):
        def __init__(self, path):
            with tracer.start_as_current_span("download"):
                super().__init__(path)

    Traced.load("a")
    (load,) = loads(seen)
    assert seen.span("download").parent.span_id == load.context.span_id


def test_without_a_recorder_a_load_is_only_a_load(engine) -> None:
    assert engine.Voice.load("a").path == "a"


def test_the_first_request_with_a_reference_voice_is_a_cold_start(world, engine, tmp_path) -> None:
    seen = world()
    for name in ("one.wav", "two.wav"):
        (tmp_path / name).write_bytes(name.encode())
    for name in ("one.wav", "one.wav", "two.wav", "one.wav", "two.wav"):
        engine.speak("Hello there", voice=str(tmp_path / name))
    roots = [span for span in seen.drain().spans if span.name.startswith("text_to_speech")]
    kinds = [span.attributes.get(names.COLD_START_KIND) for span in roots]
    assert kinds == [("first_request", "model_load", "first_voice"), None, ("first_voice",), None, None]
    assert not any("one.wav" in span.to_json() for span in roots)


def test_a_voice_that_was_encoded_before_is_no_cold_start(world) -> None:
    seen = world()
    seen.recorder.warm.add("e")
    for hit in (True, False):
        with seen.synthesis(tts__voice="v-0123456789abcdef", tts__voice__source="reference") as synthesis:
            synthesis.set(reference_cache_hit=hit)
    assert all(names.COLD_START not in span.attributes for span in seen.drain().spans)


def test_own_code_may_be_cold_too(world) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(np.zeros(10), 24000)
        for _ in range(2):
            synthesis.mark_cold(names.ColdStart.COMPILE)
    (span,) = seen.drain().spans
    assert span.attributes[names.COLD_START_KIND] == ("compile",)

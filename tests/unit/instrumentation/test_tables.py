# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hooks go on whatever the order of imports, change nothing that can be seen, and come off again."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import logging
import pickle
import sys
from typing import Any

import numpy as np
import pytest

from otel_tts.engines.table import Chunk, Engine, Entry, Seam
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

SOURCE = """
    import numpy

    class Base:
        def inherited(self, text):
            return numpy.full(2400, 0.5, numpy.float32)

    class Voice(Base):
        "A voice."
        def __init__(self, name="a"):
            self.name = name
        @staticmethod
        def load(path):
            return Voice(path)
        @classmethod
        def make(cls):
            return cls("made")
        def speak(self, text, *, speed: float = 1.0):
            "Text to samples."
            return vocode(self.think(text))
        def stream(self, text):
            yield vocode(self.think(text))
        async def later(self, text):
            return vocode(self.think(text))
        async def stream_later(self, text):
            yield vocode(self.think(text))
        def think(self, text):
            return len(text)

    def vocode(size):
        return numpy.full(size * 100, 0.5, numpy.float32)
"""


def table(name: str, **changes: Any) -> Engine:
    parts: dict[str, Any] = {
        "entries": tuple(Entry(f"Voice.{method}") for method in ("speak", "stream", "later", "stream_later")),
        "seams": (Seam("Voice.think", "acoustic_model"), Seam("vocode", "vocoder")),
        "sample_rate": 24000,
    }
    return Engine(**{"name": "made", "module": name, "distribution": "", **parts, **changes})


ONE_REQUEST = ["tts.acoustic_model", "tts.vocoder", "text_to_speech"]


def test_hooks_set_before_the_import(world, module) -> None:
    seen, name = world(), module(SOURCE)
    watch(table(name))
    assert name not in sys.modules
    importlib.import_module(name).Voice().speak("hello")
    assert seen.drain().names() == ONE_REQUEST


def test_hooks_set_after_the_import_reach_instances_that_exist(world, module) -> None:
    seen, name = world(), module(SOURCE)
    voice = importlib.import_module(name).Voice()
    watch(table(name))
    voice.speak("hello")
    assert seen.drain().names() == ONE_REQUEST


def test_a_subclass_made_before_or_after_the_hooks(world, module) -> None:
    seen, name = world(), module(SOURCE)
    engine = importlib.import_module(name)

    class Before(engine.Voice):
        def speak(self, text, *, speed=1.0):
            return super().speak(text) * 2

    watch(table(name))

    class After(engine.Voice):
        def think(self, text):
            return super().think(text) + 1

    assert Before().speak("hello")[0] == 1.0
    assert len(After().speak("hello")) == 600
    assert seen.drain().names() == ONE_REQUEST * 2


def test_a_patch_of_the_user_before_the_hooks_is_kept_and_traced(world, module, monkeypatch) -> None:
    seen, name = world(), module(SOURCE)
    engine = importlib.import_module(name)
    monkeypatch.setattr(engine, "vocode", lambda size: np.full(1, 0.25, np.float32))
    watch(table(name))
    assert engine.Voice().speak("hello").tolist() == [0.25]
    assert seen.drain().names() == ONE_REQUEST
    undo(HOOKS)
    assert engine.vocode(1).tolist() == [0.25]


def test_a_patch_of_the_user_over_the_hooks_outlives_them(world, module, monkeypatch) -> None:
    seen, name = world(), module(SOURCE)
    engine = importlib.import_module(name)
    watch(table(name))
    ours = engine.vocode
    monkeypatch.setattr(engine, "vocode", patched := lambda size: ours(size) * 2)
    assert engine.Voice().speak("hello")[0] == 1.0
    assert seen.drain().names() == ONE_REQUEST
    undo(HOOKS)
    assert engine.vocode is patched
    watch(table(name))
    engine.Voice().speak("hello")
    assert seen.drain().names() == ONE_REQUEST * 2, "our hook inside the patch is still the only one"


def test_what_a_version_lacks_is_said_once_and_costs_that_part_only(world, module, caplog) -> None:
    seen, name = world(), module(SOURCE)
    engine = table(
        name, seams=(Seam("Voice.think", "acoustic_model"), Seam("Voice.vocode", "vocoder")), distribution="pytest"
    )
    with caplog.at_level(logging.WARNING, "otel_tts"):
        watch(engine)
        importlib.import_module(name).Voice().speak("hello")
        importlib.import_module(name).Voice().speak("hello")
    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"{name} has no Voice.vocode in this version" in warning
    assert "otel-tts engines" in warning
    assert seen.drain().names() == ["tts.acoustic_model", "text_to_speech"] * 2


def test_unwrapping_restores_exactly_what_was_there(module) -> None:
    name = module(SOURCE)
    engine = importlib.import_module(name)
    before, of_module = dict(vars(engine.Voice)), dict(vars(engine))
    entries = tuple(Entry(f"Voice.{part}") for part in ("speak", "stream", "inherited", "make"))
    watch(table(name, entries=entries, load=("Voice.load", "Voice.__init__")))
    changed = {part for part, value in vars(engine.Voice).items() if before.get(part) is not value}
    assert changed == {"speak", "stream", "inherited", "make", "load", "__init__", "think"}
    undo(HOOKS)
    assert dict(vars(engine.Voice)) == before
    assert {part: value for part, value in vars(engine).items() if of_module[part] is not value} == {}
    assert "inherited" not in vars(engine.Voice)


def test_a_module_imported_after_unwrapping_is_left_alone(module) -> None:
    name = module(SOURCE)
    watch(table(name))
    undo(HOOKS)
    assert type(importlib.import_module(name).vocode).__name__ == "function"


def test_watching_twice_wraps_once(world, module) -> None:
    seen, name = world(), module(SOURCE)
    watch(table(name))
    watch(table(name))
    importlib.import_module(name).Voice().speak("hello")
    watch(table(name))
    importlib.import_module(name).Voice().speak("hello")
    assert seen.drain().names() == ONE_REQUEST * 2


KINDS = (
    inspect.isfunction, inspect.ismethod, inspect.isgeneratorfunction, inspect.iscoroutinefunction,
    inspect.isasyncgenfunction, callable, inspect.isroutine, inspect.signature, inspect.getdoc, inspect.getsource,
    lambda function: (function.__name__, function.__qualname__, function.__module__),
)  # fmt: skip


def looks(engine: Any) -> list[Any]:
    voice = engine.Voice()
    parts = [engine.vocode, engine.Voice.load, engine.Voice.make, voice.make]
    for method in ("speak", "stream", "later", "stream_later", "think"):
        parts += [getattr(engine.Voice, method), getattr(voice, method)]
    return [kind(part) for part in parts for kind in KINDS] + [inspect.signature(engine.Voice)]


def test_everything_looks_as_before(module) -> None:
    name = module(SOURCE)
    engine = importlib.import_module(name)
    before = looks(engine)
    watch(table(name, load=("Voice.load", "Voice.make", "Voice.__init__")))
    assert looks(engine) == before


def test_results_have_the_types_they_had(world, module) -> None:
    world()
    name = module(SOURCE)
    watch(table(name))
    voice = importlib.import_module(name).Voice()
    stream, later, stream_later = voice.stream("a"), voice.later("a"), voice.stream_later("a")
    assert inspect.isgenerator(stream)
    assert inspect.iscoroutine(later)
    assert inspect.isasyncgen(stream_later)
    assert type(voice.speak("a")) is np.ndarray
    assert len(list(stream)) == 1
    assert type(asyncio.run(later)) is np.ndarray


def test_hooked_callables_pickle_and_copy_like_their_originals(module) -> None:
    name = module(SOURCE)
    watch(table(name, load=("Voice.load", "Voice.make")))
    engine = importlib.import_module(name)
    assert pickle.loads(pickle.dumps(engine.vocode)) is engine.vocode
    assert copy.deepcopy({"call": engine.vocode})["call"] is copy.copy(engine.vocode) is engine.vocode
    for function in (engine.Voice.speak, engine.Voice.load, engine.Voice.make):
        assert pickle.loads(pickle.dumps(function)) == function
        assert copy.copy(function) == copy.deepcopy(function) == function
    bound = engine.Voice("b").speak
    for twin in (pickle.loads(pickle.dumps(bound)), copy.deepcopy(bound)):
        assert twin.__self__.name == "b"
        assert twin.__self__ is not bound.__self__
        assert twin("a").tolist() == bound("a").tolist()


def test_loading_a_model_is_measured(world, module) -> None:
    seen, name = world(), module(SOURCE)
    watch(table(name, load=("Voice.load",), model="small"))
    engine = importlib.import_module(name)
    assert engine.Voice.load("b").name == "b"
    ((labels, (count, seconds)),) = seen.drain().points("tts.model.load.duration").items()
    assert (labels, count) == (("small", "made"), 1)
    assert seconds >= 0


def test_loading_fails_as_it_did_and_says_so(world, module) -> None:
    seen, name = world(), module(SOURCE)
    watch(table(name, load=("Voice.load",)))
    with pytest.raises(TypeError, match="load"):
        importlib.import_module(name).Voice.load()
    ((labels, (count, _)),) = seen.drain().points("tts.model.load.duration").items()
    assert (labels, count) == (("made", "error"), 1)
    load = seen.span("tts.model.load")
    assert (load.parent, load.attributes["error.type"]) == (None, "TypeError")


def test_without_a_recorder_hooks_do_nothing(module) -> None:
    name = module(SOURCE)
    watch(table(name, load=("Voice.load",)))
    voice = importlib.import_module(name).Voice.load("a")
    assert len(voice.speak("abc")) == 300
    assert len(list(voice.stream("abc"))) == 1


def test_two_engines_in_one_module_share_nothing(world, module) -> None:
    seen, name = world(), module(SOURCE)
    watch(table(name, entries=(Entry("Voice.speak"),), seams=()))
    other = Engine(name="other", module=name, distribution="", entries=(Entry("Voice.stream", chunk=Chunk()),))
    watch(other)
    voice = importlib.import_module(name).Voice()
    voice.speak("a")
    list(voice.stream("a"))
    assert [span.attributes["tts.engine.name"] for span in seen.drain().spans] == ["made", "other"]

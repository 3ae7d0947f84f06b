# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A loader that is called at each request and loads at the first, and what is kept of a load for later requests."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from otel_tts import guard
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.table import Call, Engine, Entry, Load
from otel_tts.instrumentation.tables import watch

SOURCE = """
    model = None

    def _load(path="small.onnx"):
        global model
        if model is None:
            model = path
        return model

    def speak(text):
        _load()
        return [0.1] * 2400
"""


@pytest.fixture
def speak(module):
    """`speak(load)` is the engine, hooked with that row."""

    def make(load: str | Load) -> tuple[Any, Engine]:
        made = importlib.import_module(module(SOURCE))
        engine = Engine("made", made.__name__, "", (Entry("speak"),), load=(load,), sample_rate=24000)
        watch(engine)
        return made, engine

    return make


def loads(seen: Any) -> int:
    return sum(span.name == "tts.model.load" for span in seen.drain().spans)


def test_a_loader_that_finds_its_model_there_loads_nothing(world, speak) -> None:
    seen = world()
    made, _ = speak(Load("_load", unless=lambda call: made.model is not None))
    for _ in range(3):
        made.speak("hello")
    assert loads(seen) == 1 and guard.faults == {}


def test_what_a_load_says_is_shown_once_it_has_succeeded(world, speak) -> None:
    seen, shown = world(), []
    made, _ = speak(Load("_load", note=shown.append))
    assert made._load("other.onnx") == "other.onnx"
    assert shown == [Call(None, {"path": "other.onnx"})]
    with pytest.raises(TypeError):
        made._load(1, 2)
    assert len(shown) == 1 and loads(seen) == 2


@pytest.mark.parametrize("row", ["unless", "note"])
def test_a_row_that_raises_costs_nothing_else(world, speak, row) -> None:
    def nonsense(call: Call) -> Any:
        raise LookupError

    seen = world()
    made, _ = speak(Load("_load", **{row: nonsense}))
    assert made.speak("hello") == [0.1] * 2400
    assert loads(seen) == 1 and sum(guard.faults.values()) == 1


@pytest.mark.parametrize("load", ["_load", Load("_load")])
def test_a_loader_that_is_gone_is_missing(module, load) -> None:
    name = module("def speak(text): ...")
    status = look(Engine("made", name, "pytest", (Entry("speak"),), load=(load,)), Installed())
    assert status.missing == (f"{name}._load",)

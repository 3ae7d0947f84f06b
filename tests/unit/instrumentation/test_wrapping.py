# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A module that is imported anew is hooked anew: hot reload, or dropped from sys.modules to give memory back."""

from __future__ import annotations

import gc
import importlib
import sys
import weakref
from typing import Any

import pytest

from otel_tts.engines.table import Engine, Entry, Seam
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

SOURCE = """
    import numpy, threading
    turn = threading.Lock()
    class Voice:
        def speak(self, text):
            with turn:
                return vocode(len(text))
    def vocode(size):
        return numpy.full(size * 100, 0.5, numpy.float32)
"""


def table(name: str, **changes: Any) -> Engine:
    parts: dict[str, Any] = {"entries": (Entry("Voice.speak"),), "seams": (Seam("vocode", "vocoder"),)}
    return Engine(**{"name": "made", "module": name, "distribution": "", "sample_rate": 24000, **parts, **changes})


def reload(name: str) -> Any:
    return importlib.reload(sys.modules[name])


def drop(name: str) -> Any:
    del sys.modules[name]
    return importlib.import_module(name)


@pytest.mark.parametrize("only_with", ["", "Voice"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("again", [reload, drop])
def test_every_request_is_seen(world, module, again, before: bool, only_with: str) -> None:
    seen, name = world(), module(SOURCE)
    engine = table(name, only_with=only_with, locks=(f"{name}:turn",))
    if before:
        watch(engine)
    loaded = importlib.import_module(name)
    if not before:
        watch(engine)
    for _ in range(4):
        assert loaded.Voice().speak("abc").size == 300
        loaded = again(name)
        watch(engine)  # as a module does that has its own table in it
    spans = seen.drain().names()
    assert spans == ["tts.vocoder", "text_to_speech"] * 4


def test_what_was_put_over_a_hook_stays(world, module, monkeypatch) -> None:
    seen, name = world(), module(SOURCE)
    watch(table(name))
    loaded = importlib.import_module(name)
    monkeypatch.setattr(loaded, "vocode", lambda size: None)
    watch(table(name))
    assert loaded.Voice().speak("abc") is None
    assert seen.drain().names() == ["text_to_speech"]


def test_a_module_that_is_dropped_goes(module) -> None:
    name = module(SOURCE)
    watch(table(name))
    old = weakref.ref(importlib.import_module(name).Voice)
    drop(name)
    gc.collect()
    assert old() is None


def test_both_are_restored(module) -> None:
    name = module(SOURCE)
    watch(table(name))
    old = importlib.import_module(name)
    new = drop(name)
    undo(HOOKS)
    for loaded in (old, new):
        assert type(vars(loaded.Voice)["speak"]).__name__ == type(loaded.vocode).__name__ == "function"
    assert type(reload(name).vocode).__name__ == "function"

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a table knows from before the request, and which of an engine's graphs ran."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import otel_tts
from otel_tts import guard, names
from otel_tts.engines import kept
from otel_tts.engines.table import Entry, Graph, Keep, Seam
from otel_tts.instrumentation.libraries import onnxruntime
from tests.unit.instrumentation.test_form import load, made, root_of

VOICES = """
    import numpy

    class Style:
        pass

    def voice(name):
        return Style()

    def voices(name):
        return [Style(), Style()]

    def number(name):
        return 3

    class Speech:
        def __init__(self, text):
            pass
        def speak(self, style=None):
            return numpy.resize([0.2, -0.2], 2400).astype(numpy.float32)
"""


def engine(module: Any) -> Any:
    keeps = (
        Keep("voice", "name"), Keep("voices", "name"), Keep("number", "name"),
        Keep("Speech.__init__", lambda call: len(call.arguments["text"])), Keep("gone", "name", optional=True),
    )  # fmt: skip
    entry = Entry(
        "Speech.speak", text=None, sample_rate=24000, voice=lambda call: kept.kept(call.arguments.get("style")),
        facts={names.TEXT_LENGTH: lambda call: kept.kept(call.instance)},
    )  # fmt: skip
    return load(module(VOICES), entries=(entry,), keeps=keeps, presets=frozenset({"anna"}))


def test_a_voice_and_a_text_from_before_the_request(world, module) -> None:
    seen = world()
    made = engine(module)
    made.Speech("hello").speak(made.voice("anna"))
    facts = root_of(seen).attributes
    assert (facts[names.VOICE], facts[names.TEXT_LENGTH]) == ("anna", 5)
    assert not guard.faults


def test_each_item_of_a_list_and_nothing_of_what_was_not_kept(world, module) -> None:
    seen = world()
    made = engine(module)
    for style in (*made.voices("anna"), made.Style(), None):
        made.Speech("hello").speak(style)
    roots = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    assert [root.attributes.get(names.VOICE) for root in roots] == ["anna", "anna", None, None]


def test_a_seam_may_name_the_same_callable(world, module) -> None:
    seen = world()
    entry = Entry("Speech.speak", text=None, sample_rate=24000, voice=lambda call: kept.kept(call.arguments["style"]))
    seams, keeps = (Seam("voice", "reference_encode"),), (Keep("voice", "name"),)
    made = load(module(VOICES), entries=(entry,), seams=seams, keeps=keeps, presets=frozenset({"anna"}))
    with otel_tts.synthesis("own"):
        style = made.voice("anna")
    made.Speech("hello").speak(style)
    told = seen.drain().spans
    assert [span.name for span in told] == ["tts.reference_encode", "text_to_speech own", "text_to_speech"]
    assert told[-1].attributes[names.VOICE] == "anna"


def test_what_is_told_anew_replaces_what_was() -> None:
    thing = Session()
    kept.keep(thing, 5)
    kept.keep(thing, 2)
    assert kept.kept(thing) == 2
    kept.forget(thing)
    assert kept.kept(thing) is None


def test_it_is_forgotten_with_the_object(world, module) -> None:
    world()
    made, before = engine(module), len(kept._values)
    style = made.voice("anna")
    assert len(kept._values) == before + 1
    del style
    gc.collect()
    assert len(kept._values) == before


def test_what_can_have_no_reference_is_not_kept_and_costs_nothing_else(world, module) -> None:
    world()
    assert engine(module).number("anna") == 3
    assert guard.faults["reader"] == 1
    guard.faults.clear()


class Session:
    pass


def test_a_graph_is_known_by_its_file_and_others_are_the_engines(world) -> None:
    world()
    table = made("pytest", onnx="codec", graphs=(Graph("vocoder", "vocoder"), Graph("flow", "flow", fold=True)))
    known, other = Session(), Session()
    kept.keep(known, "flow")
    kept.keep(other, "somewhere")
    one = SimpleNamespace(engine=table)
    stages = [onnxruntime._stage_of(one, session) for session in (known, other, Session())]  # type: ignore[arg-type]
    assert stages == [("flow", True), ("codec", False), ("codec", False)]

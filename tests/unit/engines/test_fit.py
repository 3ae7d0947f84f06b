# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A table held against source: which callables, parameters and attributes it names that are not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_tts.engines.check.fit import Finding, asked_for, check
from otel_tts.engines.check.packages import Packages, Wheels
from otel_tts.engines.table import Call, Callback, Chunk, Engine, Entry, Mark, Seam

SOURCE = """
class Voice:
    name: str

class Engine:
    def __init__(self, path):
        self.voice: Voice = path
        self.model = path
    def speak(self, text, call=None, lang=None):
        return self.think(text)
    def think(self, words): ...

def save(wav, rate): ...
"""


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    for package in ("speaks", "under/speaks2"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "engine.py").write_text(SOURCE)
    return Wheels(tmp_path)


def table(*entries: Entry, **more: Any) -> Engine:
    return Engine("speaks", "speaks.engine", "speaks", entries, **more)


def lacking(engine: Engine, packages: Packages) -> list[str]:
    return [finding.name.removeprefix("speaks.engine.") for finding in check(engine, packages) if finding.lacking]


def language(call: Call) -> Any:
    return call.arguments.get("lang") or call.arguments["accent"] or call.instance.voice


def test_a_table_that_fits_names_everything_once(packages: Packages) -> None:
    engine = table(
        Entry("Engine.speak", voice="self.voice.name", model="self.model.kind", callback=Callback("call")),
        Entry("save", text=None, chunk=Chunk("wav", "rate", given=True)),
        seams=(Seam("Engine.think", "model", segments="words"), Seam("Engine.think", "model")),
        load=("Engine.__init__", "speaks.engine:save"),
    )
    assert [(finding.name.removeprefix("speaks.engine."), finding.callable) for finding in check(engine, packages)] == [
        ("Engine.speak", True), ("Engine.speak(text)", False), ("Engine.speak self.voice.name", False),
        ("Engine.speak self.model.kind", False), ("Engine.speak(call)", False), ("save", True), ("save(wav)", False),
        ("save(rate)", False), ("Engine.think", True), ("Engine.think(words)", False), ("Engine.__init__", True),
    ]  # fmt: skip
    assert lacking(engine, packages) == []


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"target": "Engine.sing"}, "Engine.sing"),
        ({"text": "words"}, "Engine.speak(words)"),
        ({"text": "words.first"}, "Engine.speak(words)"),
        ({"voice": "self.singer"}, "Engine.speak self.singer"),
        ({"voice": "self.voice.age"}, "Engine.speak self.voice.age"),
        ({"sample_rate": "hertz"}, "Engine.speak(hertz)"),
        ({"facts": {"a": "self.b"}}, "Engine.speak self.b"),
        ({"callback": Callback("shout")}, "Engine.speak(shout)"),
        ({"chunk": Chunk("wav", 24000, given=True)}, "Engine.speak(wav)"),
        ({"language": language}, "speaks language(accent)"),
        ({"module": "speaks.gone"}, "speaks.gone.Engine.speak"),
        ({"kinds": ("generator",)}, "Engine.speak (kind)"),
    ],
)
def test_each_name_that_is_not_there_is_told(packages: Packages, change: dict[str, Any], gone: str) -> None:
    assert lacking(table(replace(Entry("Engine.speak"), **change)), packages) == [gone]


def test_of_another_kind_it_is_told_what_that_costs(packages: Packages) -> None:
    (finding,) = [
        found for found in check(table(Entry("Engine.speak", kinds=("generator",))), packages) if found.lacking
    ]
    assert finding.why == "is a function, not a generator: its audio is not read" and not finding.callable
    assert lacking(table(Entry("Engine.speak", kinds=("generator", "function"))), packages) == []


def test_seams_loads_and_locks_are_told_too(packages: Packages) -> None:
    engine = table(
        Entry("Engine.speak"),
        seams=(Seam("Engine.dream", "model"), Seam("Engine.think", "model", facts={"a": "thought"})),
        load=("Engine.wake",),
        locks=("lock",),
    )
    assert lacking(engine, packages) == ["Engine.dream", "Engine.think(thought)", "Engine.wake", "lock"]


def test_functions_of_a_call_and_jobs_are_told_too(packages: Packages) -> None:
    def long(call: Call) -> Any:
        return len(call.arguments["phrase"]) > 9

    seams = (Seam("Engine.think", "model", unless=long), Seam("Engine.think", "model", job="Voice.name"))
    engine = table(Entry("Engine.speak"), seams=seams)
    assert lacking(engine, packages) == ["speaks long(phrase)"]
    engine = table(Entry("Engine.speak", when=long), seams=(Seam("Engine.think", "model", job="Voice.age"),))
    assert lacking(engine, packages) == ["Voice.age", "speaks long(phrase)"]
    engine = table(Entry("Engine.speak"), marks=(Mark("Engine.think", long), Mark("Engine.dream", None)))
    assert lacking(engine, packages) == ["Engine.dream", "speaks long(phrase)"]


def test_what_the_table_calls_optional_is_not_missed(packages: Packages) -> None:
    engine = table(Entry("Engine.sing", optional=True), seams=(Seam("f", "model", module="gone", optional=True),))
    assert lacking(engine, packages) == []


def test_modules_are_found_under_other_packages_too(packages: Packages) -> None:
    engine = Engine("speaks", "speaks2.engine", "", (Entry("Engine.speak"),))
    assert [finding.state for finding in check(engine, packages)] != ["found", "found"]
    found = check(replace(engine, prefixes=("under",)), packages)
    assert [(finding.name, finding.state) for finding in found] == [
        ("speaks2.engine.Engine.speak", "found"), ("speaks2.engine.Engine.speak(text)", "found"),
    ]  # fmt: skip


def test_a_function_is_asked_what_it_reads() -> None:
    assert asked_for(language) == {"lang", "accent"}
    assert asked_for(len) == set()
    assert asked_for(lambda call: call.arguments["x"]) <= {"x"}


def test_a_parameter_that_one_of_several_entries_takes_is_there(packages: Packages) -> None:
    def chosen(call: Call) -> Any:
        return call.arguments.get("rate")

    engine = table(Entry("Engine.speak", voice=chosen), Entry("save", text=None, voice=chosen))
    assert lacking(engine, packages) == []
    assert Finding("speaks chosen(rate)", "found", callable=False) in check(engine, packages)

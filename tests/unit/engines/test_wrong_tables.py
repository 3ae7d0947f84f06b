# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Tables that others write wrong: what is wrong is said, with file and line, and hurts nobody."""

from __future__ import annotations

import importlib
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from otel_tts import Chunk, Engine, Entry, Seam
from otel_tts.engines import form
from otel_tts.engines.form import Wrong, problem
from otel_tts.engines.known import ENGINES
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo


def table(**parts: Any) -> Engine:
    return Engine(**{"name": "made", "module": "made", "distribution": "", "entries": (), **parts})


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.distribution or engine.module)
def test_our_tables_have_the_form(engine: Engine) -> None:
    assert problem(engine) is None


def test_lists_and_other_collections_do() -> None:
    assert problem(table(entries=[Entry("speak")], presets=["anna"], seams=[Seam("think", "model")])) is None


ONE = ", one alone: a comma is missing, or brackets"
WRONG = [
    ({"entries": None}, "entries is None, not tuple[Entry, ...]"),
    ({"entries": ("speak",)}, "entries is ('speak',), not tuple[Entry, ...]"),
    ({"module": None}, "module is None, not str"),
    ({"locks": "lock"}, f"locks is 'lock'{ONE}"),
    ({"presets": "anna"}, f"presets is 'anna'{ONE}"),
    ({"prefixes": 3}, "prefixes is 3, not tuple[str, ...]"),
    ({"sample_rate": "24k"}, "sample_rate is '24k', not int | None"),
    ({"sample_rate": True}, "sample_rate is True, not int | None"),
    ({"scale": "1"}, "scale is '1', not float | None"),
    ({"seconds_per_character": (1.0,)}, "seconds_per_character is (1.0,), not tuple[float, float] | None"),
    ({"entries": (Entry("a"), Entry("b", text=3))}, "entries[1].text is 3, not Reader | None"),  # type: ignore[arg-type]
    ({"entries": (Entry("a", chunk="wave"),)}, "entries[0].chunk is 'wave', not Chunk | None"),  # type: ignore[arg-type]
    ({"entries": (Entry("a", chunk=Chunk(rate=())),)}, "entries[0].chunk.rate is (), not str | int | float | None"),  # type: ignore[arg-type]
    ({"entries": (Entry("a", facts={1: "b"}),)}, "entries[0].facts is {1: 'b'}, not Mapping[str, Reader]"),  # type: ignore[dict-item]
    ({"entries": (Entry("a", facts=None),)}, "entries[0].facts is None, not Mapping[str, Reader]"),  # type: ignore[arg-type]
    ({"entries": (Entry("a", when="always"),)}, "entries[0].when is 'always', not Callable[[Call], bool] | None"),  # type: ignore[arg-type]
    ({"seams": [Seam("think", None)]}, "seams[0].stage is None, not str"),  # type: ignore[arg-type]
    ({"load": (3,)}, "load is (3,), not tuple[str | Load, ...]"),
]


@pytest.mark.parametrize(("parts", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_has_not_the_form_is_named(parts: dict[str, Any], told: str) -> None:
    assert problem(table(**parts)) == told


def test_one_line_where_a_tuple_belongs_is_a_missing_comma() -> None:
    told = problem(table(entries=Entry("speak")))
    assert told is not None and told.startswith("entries is Entry(target='speak'") and told.endswith(ONE)


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError


def test_everything_wrong_is_said_at_once_and_bounded() -> None:
    told = problem(table(module=Unspeakable(), name="x" * 1000, locks=("y" * 1000, 3)))
    assert told is not None and len(told) < 400
    assert "module is a Unspeakable, not str; " in told and "locks is ('yyy" in told and "name" not in told
    assert problem("a table") == "'a table' is no otel_tts.Engine"
    assert problem(Engine) == "<class 'otel_tts.engines.table.Engine'> is no otel_tts.Engine"


# --- from an entry point --------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Wrong]]:
    """`written(source)` is what is wrong with the table ENGINE of a module with that source."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(source: str) -> Wrong:
        (tmp_path / "theirs.py").write_text(source)
        importlib.invalidate_caches()
        found = form.load(metadata.EntryPoint("theirs", "theirs:ENGINE", form.GROUP))
        assert isinstance(found, Wrong)
        return found

    yield load
    sys.modules.pop("theirs", None)


HEAD = "from otel_tts import Engine, Entry\n\n"


@pytest.mark.parametrize(
    ("source", "told", "line"),
    [
        (f"{HEAD}ENGINE = Engine(name='x')\n", "TypeError: Engine.__init__() missing 3 required", ":3)"),
        (
            f"{HEAD}ENGINE = Engine('x', 'y', '',\n    entries=(Entry(),))\n",
            "TypeError: Entry.__init__() missing",
            ":4)",
        ),
        (f"{HEAD}ENGINE = Engine('x', 'y', '', entry=())\n", "got an unexpected keyword argument 'entry'", ":3)"),
        (f"{HEAD}ENGINE: Engine = Engine('x', 'y', '', None)\n", "entries is None, not tuple[Entry, ...]", ":3)"),
        (f"{HEAD}ENGINE = {{}}\n", "{} is no otel_tts.Engine", ":3)"),
        (f"{HEAD}ENGINE = (\n", "SyntaxError: '(' was never closed", ":3)"),
        ("import torch_that_is_not_here\n", "ModuleNotFoundError: No module named 'torch_that_is_not_here'", ":1)"),
        ("import json\n\njson.loads('{')\n", "JSONDecodeError: ", ":3)"),
        ("\nraise SystemExit('bye')\n", "SystemExit: bye", ":2)"),
        ("\nraise ValueError('a\\nb  c' + 'x' * 5000)\n", "ValueError: a b cxxx", ":2)"),
        (HEAD, "AttributeError: module 'theirs' has no attribute 'ENGINE'", "theirs.py)"),
    ],
)
def test_what_is_wrong_comes_with_message_file_and_line(
    written: Callable[[str], Wrong], source: str, told: str, line: str, tmp_path: Path
) -> None:
    wrong = written(source)
    assert (wrong.name, wrong.table) == ("theirs", "theirs:ENGINE")
    assert told in wrong.error and "\n" not in wrong.error and len(wrong.error) < 1200
    assert wrong.error.endswith(line), wrong.error
    assert f"({tmp_path / 'theirs.py'}" in wrong.error, "the table's place, not the library's that it calls"


def test_an_interrupt_is_nobodys_fault(written: Callable[[str], Wrong]) -> None:
    with pytest.raises(KeyboardInterrupt):
        written("raise KeyboardInterrupt")


# --- by a call ------------------------------------------------------------------------------------------

ENGINE = """
RATE = 16000
class Voice:
    rate = 16000
    @property
    def prop(self): return 3
    def speak(self, text): return [0.0] * 10
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "their_engine.py").write_text(ENGINE)
    importlib.invalidate_caches()
    yield importlib.import_module("their_engine")
    undo(HOOKS)
    del sys.modules["their_engine"]


def test_a_wrong_table_that_is_registered_is_one_line_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "otel_tts"):
        watch(table(entries=None))
        watch("no table")  # type: ignore[arg-type]
    here = f"({__file__}:"
    assert ["the engine table made is left out: entries is None" in caplog.messages[0], len(caplog.messages)] == [
        True,
        2,
    ]
    assert all(here in message for message in caplog.messages)


@pytest.mark.parametrize("target", ["RATE", "Voice", "Voice.rate", "Voice.prop"])
def test_what_is_no_function_is_left_as_it_is(engine: Any, target: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "otel_tts"):
        watch(table(module="their_engine", entries=(Entry(target),)))
    assert type(engine.RATE) is int and type(engine.Voice) is type and type(engine.Voice.rate) is int
    assert pickle.loads(pickle.dumps(engine.Voice())).prop == 3
    (said,) = caplog.messages
    assert f"their_engine.{target} is " in said and "not a function or method" in said

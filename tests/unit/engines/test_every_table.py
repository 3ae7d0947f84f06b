# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every table's lines at work on input that nobody asked for: whatever a reader makes of it, the engine's own result or
exception is the caller's. The engines are made of the tables: callables of those names and kinds, that take anything.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

import otel_tts
from otel_tts import guard, names
from otel_tts.engines.check.fit import asked_for
from otel_tts.engines.known import ENGINES
from otel_tts.engines.table import Call, Engine, Entry, Load, Seam
from otel_tts.guard import contain
from otel_tts.instrumentation.calls.arguments import read
from otel_tts.instrumentation.tables import split_target, target_of, watch

SOUND = np.resize([0.2, -0.2], 2400).astype(np.float32)
ODD: dict[str, Any] = {
    "empty": "", "blank": " \n", "long": "x" * 100_000, "no text": None, "bytes": b"\xff\x00", "number": 10**400,
    "nothing in it": [], "nested": [["x"], {"y": object()}], "lone surrogate": "\ud800", "an object": object(),
}  # fmt: skip
ENDED = {"generator": list, "async generator": lambda stream: asyncio.run(_all(stream)), "coroutine": asyncio.run}


async def _all(stream: Any) -> list[Any]:
    return [item async for item in stream]


def name(engine: Engine) -> str:
    return engine.distribution or engine.module


every_table = pytest.mark.parametrize("engine", ENGINES, ids=name)


class Made:
    """An engine that has what a table names. `does` is asked by each callable what to do, with the line's target."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch, seams: bool = True) -> None:
        self.engine, self._monkeypatch = engine, monkeypatch
        self.does: Callable[[str], Any] = lambda target: SOUND
        self._module(engine.module)
        for line in (*engine.entries, *(engine.seams if seams else ()), *engine.marks, *engine.keeps):
            kinds = line.kinds if isinstance(line, Entry) else ()
            self._place(line.module or engine.module, line.target, kinds[0] if kinds else "function")
        if engine.only_with:
            self._place(engine.module, engine.only_with, "function")
        for load in engine.load:
            module, target = split_target(target_of(load))
            self._place(module or engine.module, target, "function")

    def _module(self, path: str) -> ModuleType:
        parts = path.split(".")
        for count in range(1, len(parts) + 1):
            full = ".".join(parts[:count])
            if getattr(sys.modules.get(full), "made", None) is not self:
                module = ModuleType(full)
                module.__path__, module.made = [], self  # type: ignore[attr-defined]
                self._monkeypatch.setitem(sys.modules, full, module)
        return sys.modules[path]

    def _place(self, module: str, target: str, kind: str) -> None:
        owner: Any = self._module(module)
        *classes, last = target.split(".")
        for each in classes:
            if each not in vars(owner):
                setattr(owner, each, type(each, (), {}))
            owner = vars(owner)[each]
        if last not in vars(owner):
            setattr(owner, last, self._callable(target, kind))

    def _callable(self, target: str, kind: str) -> Any:
        def function(*args: Any, **given: Any) -> Any:
            return self.does(target)

        def generator(*args: Any, **given: Any) -> Iterator[Any]:
            for _ in range(3):
                yield self.does(target)

        async def coroutine(*args: Any, **given: Any) -> Any:
            return self.does(target)

        async def async_generator(*args: Any, **given: Any) -> Any:
            for _ in range(3):
                yield self.does(target)

        made = {"function": function, "generator": generator, "coroutine": coroutine}
        return made.get(kind, async_generator)

    def call(self, line: Entry | Seam, value: Any) -> Any:
        """Call what `line` names with `value` for each argument that the line reads."""
        owner: Any = sys.modules[line.module or self.engine.module]
        *classes, last = line.target.split(".")
        for each in classes:
            owner = getattr(owner, each)
        if classes:
            owner = owner.__new__(owner)
        return getattr(owner, last)(**_arguments(line, value))


def _arguments(line: Entry | Seam, value: Any) -> dict[str, Any]:
    readers = [
        getattr(line, field, None) for field in ("text", "voice", "language", "model", "when", "segments", "finish")
    ]
    given: dict[str, Any] = {}
    for reader in (*readers, *line.facts.values()):
        if callable(reader):
            given |= dict.fromkeys(asked_for(reader), value)
        elif isinstance(reader, str) and not reader.startswith("self."):
            first, *rest = reader.split(".")
            given[first] = _inside(rest, value)
    return given


def _inside(path: list[str], value: Any) -> Any:
    return SimpleNamespace(**{path[0]: _inside(path[1:], value)}) if path else value


def kind_of(line: Entry) -> str:
    return line.kinds[0] if line.kinds else "function"


def ended(line: Entry, result: Any) -> Any:
    return ENDED.get(kind_of(line), lambda given: given)(result)


def roots(seen: Any) -> list[Any]:
    return [span for span in seen.drain().spans if names.OUTCOME in span.attributes]


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """What a test has imported of an engine's name is forgotten; what was there is put back by pytest."""
    before = set(sys.modules)
    yield
    tops = {engine.module.partition(".")[0] for engine in ENGINES}
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in tops:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def faults() -> Iterator[None]:
    """That a reader could not make anything of it is contained, and counted: here that is no fault."""
    yield
    guard.faults.clear()


@every_table
def test_whatever_an_entry_is_given_its_result_is_the_callers(telemetry, monkeypatch, engine) -> None:
    made, seen = Made(engine, monkeypatch), telemetry
    watch(engine)
    for case, value in ODD.items():
        for line in engine.entries:
            before = len(roots(seen))
            result = ended(line, made.call(line, value))
            assert all(item is SOUND for item in result) if isinstance(result, list) else result is SOUND, case
            assert len(roots(seen)) <= before + 1 and not seen.recorder.open, (case, line.target)
    assert roots(seen) or all(line.when or line.outermost for line in engine.entries)
    told = "".join(span.to_json() for span in seen.spans)
    assert "xxxxxxxx" not in told and "\\ud800" not in told


@every_table
def test_a_reference_of_a_tenth_of_a_second_and_one_of_ten_minutes(telemetry, monkeypatch, references, engine) -> None:
    """Where a call's own words say which file it is."""
    made, seen = Made(engine, monkeypatch), telemetry
    watch(engine)
    for seconds, path in references.items():
        for line in engine.entries:
            before = len(roots(seen))
            ended(line, made.call(line, path))
            for root in roots(seen)[before:]:
                named = contain("test", lambda one=line, file=path: read(one.voice, Call(None, _arguments(one, file))))
                is_reference = named == path and root.attributes.get(names.VOICE_SOURCE) != "preset"
                if names.REFERENCE_DURATION not in line.facts:
                    known = root.attributes.get(names.REFERENCE_DURATION)
                    assert known == (pytest.approx(seconds) if is_reference else None), line.target


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[float, str]:
    folder, found = tmp_path_factory.mktemp("references"), {}
    for seconds in (0.1, 600.0):
        found[seconds] = str(folder / f"{seconds}.wav")
        soundfile.write(found[seconds], np.resize([0.2, -0.2], int(8000 * seconds)), 8000)
    return found


@every_table
def test_what_leaves_a_stage_is_the_engines(telemetry, monkeypatch, engine) -> None:
    made, seen = Made(engine, monkeypatch), telemetry
    watch(engine)
    for error in (MemoryError("of the device"), asyncio.CancelledError(), KeyboardInterrupt()):

        def fail(target: str, error: BaseException = error) -> Any:
            raise error

        made.does, before = fail, len(roots(seen))
        for line in engine.seams:
            with pytest.raises(type(error)) as caught, otel_tts.synthesis("mine"):
                made.call(line, "text")
            assert caught.value is error
        assert len(roots(seen)) == before + len(engine.seams) and not seen.recorder.open
        expected = {"error"} if isinstance(error, MemoryError) else {"cancelled"}
        assert {root.attributes[names.OUTCOME] for root in roots(seen)[before:]} <= expected


@every_table
def test_a_stream_that_is_left_is_over(telemetry, monkeypatch, engine) -> None:
    made, seen = Made(engine, monkeypatch), telemetry
    watch(engine)

    async def leave(stream: Any) -> None:
        await anext(stream)
        await stream.aclose()

    for line in engine.entries:
        if kind_of(line) == "generator":
            stream = made.call(line, "text")
            next(stream)
            stream.close()
        elif kind_of(line) == "async generator":
            asyncio.run(leave(made.call(line, "text")))
    assert {root.attributes[names.OUTCOME] for root in roots(seen)} <= {"cancelled", "error", "ok", "anomalous"}
    assert not seen.recorder.open


@every_table
def test_a_version_without_any_of_its_stages_speaks_all_the_same(telemetry, monkeypatch, caplog, engine) -> None:
    caplog.set_level(logging.WARNING, "otel_tts")
    made, seen = Made(engine, monkeypatch, seams=False), telemetry
    entries = {(line.module or engine.module, line.target) for line in engine.entries}
    lacking = {
        f"{line.module or engine.module} has no {line.target}" for line in engine.seams
        if not line.optional and (line.module or engine.module, line.target) not in entries
        and (line.module or engine.module) in sys.modules
    }  # fmt: skip
    watch(engine)
    for line in engine.entries:
        ended(line, made.call(line, "text"))
    said = [record.getMessage() for record in caplog.records if "in this version" in record.getMessage()]
    assert len(said) == len(set(said))
    for missing in lacking:
        owner = sys.modules[missing.partition(" ")[0]]
        if getattr(owner, "made", None) is made and not _is_there(owner, missing.rpartition(" ")[2]):
            assert any(missing in line for line in said), missing
    assert not seen.recorder.open


def _is_there(owner: Any, target: str) -> bool:
    for part in target.split("."):
        owner = getattr(owner, part, None)
    return owner is not None


@every_table
def test_an_engine_that_is_half_imported_fails_by_itself_and_is_hooked_when_it_is_whole(
    telemetry, monkeypatch, tmp_path: Path, engine
) -> None:
    top = engine.module.partition(".")[0]
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == top]:
        monkeypatch.delitem(sys.modules, loaded)
    file = tmp_path.joinpath(*engine.module.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    for folder in file.relative_to(tmp_path).parents:
        (tmp_path / folder / "__init__.py").touch()
    file.write_text("class Half:\n    pass\n\nimport a_library_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = telemetry
    watch(engine)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
            importlib.import_module(engine.module)
    targets = [line.target for line in engine.entries if line.module is None and kind_of(line) == "function"]
    if engine.only_with or not targets:
        return
    holder, _, method = targets[0].rpartition(".")
    function = f"def {method}(*args, **given):\n    return None\n"
    whole = f"class {holder}:\n    {function.replace(chr(10), chr(10) + '    ')}" if holder else function
    file.write_text(whole + "\n# whole\n")
    importlib.invalidate_caches()
    module: Any = importlib.import_module(engine.module)
    found = getattr(getattr(module, holder) if holder else module, method)
    assert hasattr(found, "__wrapped__")
    assert not roots(seen)


def test_what_loads_a_model_is_made_too() -> None:
    """The stand-ins above are made of all lines that name a callable."""
    assert any(isinstance(load, Load) for engine in ENGINES for load in engine.load)

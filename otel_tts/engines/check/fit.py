# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Holds an engine's table against the source of the engine: is every callable, parameter and attribute there?"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, cast

from otel_tts.engines.check.names import FOUND, MISSING, UNREAD, Found, attribute, find, takes
from otel_tts.engines.check.packages import Packages
from otel_tts.engines.table import Engine, Entry, Keep, Mark, Seam


@dataclass(frozen=True)
class Finding:
    """One name of a table: ``"piper.voice.PiperVoice.synthesize"``, ``"….synthesize(text)"`` for a parameter,
    ``"….synthesize self.config"`` for an attribute. `state` is FOUND, MISSING or UNREAD, `why` says more; `kind` is
    what a call gives."""

    name: str
    state: str
    why: str = ""
    kind: str = ""
    callable: bool = True
    """False for a fact of a call: its lack costs that fact, not the span."""
    optional: bool = False
    """The table does not count on it."""

    @property
    def lacking(self) -> bool:
        """Whether the table names something that is not there."""
        return self.state == MISSING and not self.optional


def check(engine: Engine, packages: Packages) -> list[Finding]:
    """Look up every name of `engine`'s table in `packages`, each once, in the table's order."""
    held = _Held(engine, packages)
    found: dict[str, Finding] = {}
    for finding in (*held.callables(), *held.functions()):
        if finding.name not in found or finding.lacking:
            found[finding.name] = finding
    return list(found.values())


class _Held:
    """One table and the packages that it is held against."""

    def __init__(self, engine: Engine, packages: Packages) -> None:
        self._engine = engine
        self._packages = packages
        self._asking: dict[Callable[..., Any], list[Found]] = {}
        """Functions that read a call, and the callables whose calls they are given."""

    def find(self, module: str, target: str) -> Found:
        found = find(self._packages, module, target)
        for prefix in self._engine.prefixes if found.state != FOUND else ():
            under = find(self._packages, f"{prefix}.{module}", target)
            if under.state == FOUND:
                return under
        return found

    def callables(self) -> Iterator[Finding]:
        for row in _rows(self._engine):
            module = row.module or self._engine.module
            name = f"{module}.{row.target}"
            found = self.find(module, row.target)
            yield _finding(name, found, row.optional)
            if isinstance(row.line, Entry) and row.line.kinds:
                yield from _kind(name, row.line.kinds, found, row.optional)
            for reader in _readers(row.line):
                yield from self._fact(name, reader, found, row.optional)
            if (job := getattr(row.line, "job", None)) is not None:
                yield self._job(module, job)
        loads = (load if isinstance(load, str) else load.target for load in self._engine.load)
        for target in (*loads, *self._engine.locks):
            module, _, inner = target.rpartition(":")
            yield _finding(f"{module or self._engine.module}.{inner}", self.find(module or self._engine.module, inner))

    def _fact(self, name: str, reader: Any, found: Found, optional: bool) -> Iterator[Finding]:
        if callable(reader):
            self._asking.setdefault(reader, []).append(found)
        elif found.state == FOUND or (found.module is not None and found.module.binary is not None):
            path = reader.split(".")
            if path[0] == "self" and len(path) > 1:
                yield self._attribute(name, ".".join(path[1:]), found, optional)
            else:
                yield _parameter(self._packages, name, path[0], found, optional)

    def _attribute(self, name: str, path: str, found: Found, optional: bool) -> Finding:
        owner = found.owner if found.owner is not None else found if found.is_class else None
        if owner is None:
            return Finding(f"{name} self.{path}", UNREAD, "its class was not read", callable=False)
        there = attribute(self._packages, owner, path)
        return Finding(f"{name} self.{path}", there.state, there.why, callable=False, optional=optional)

    def _job(self, module: str, job: str) -> Finding:
        """Look up ``"Class.field"``, what a worker takes from a queue and reads."""
        kind, _, field = job.rpartition(".")
        owner = self.find(module, kind)
        found = attribute(self._packages, owner, field) if owner.is_class else owner
        return Finding(f"{module}.{job}", found.state, found.why, callable=False)

    def functions(self) -> Iterator[Finding]:
        """Yield the parameters that functions of the table ask a call for: each has to be one of some callable's."""
        for reader, founds in self._asking.items():
            for parameter in sorted(asked_for(reader)):
                taken = [takes(self._packages, found, parameter) for found in founds]
                state = FOUND if True in taken else UNREAD if None in taken else MISSING
                why = f"{reader.__name__} asks for {parameter}, which nothing takes" if state == MISSING else ""
                yield Finding(f"{self._engine.name} {reader.__name__}({parameter})", state, why, callable=False)


@dataclass(frozen=True)
class _Row:
    """What every line of a table has in common."""

    line: Any
    target: str
    module: str | None
    optional: bool


def _rows(engine: Engine) -> Iterator[_Row]:
    """Yield each line of the table that names a callable, whichever part of the table it is in."""
    for part in fields(engine):
        lines = getattr(engine, part.name)
        for line in cast("Iterable[Any]", lines) if isinstance(lines, (tuple, list)) else ():
            if (target := getattr(line, "target", None)) is not None:
                yield _Row(line, target, getattr(line, "module", None), getattr(line, "optional", False))


_READERS: Final[dict[type, tuple[str, ...]]] = {
    Entry: ("text", "voice", "model", "language", "device", "sample_rate", "file", "when", "last", "finish"),
    Keep: ("value",),
    Seam: ("segments", "streams", "unless", "last", "finish", "before", "headers"),
}
"""Fields of a line that say where something of the call stands: an argument, a path from the instance, a function."""


def _readers(line: object) -> Iterator[Any]:
    """Yield every `Reader` of a line of the table, and its functions of a call."""
    asked: list[Any] = [getattr(line, name, None) for name in _READERS.get(type(line), ())]
    asked += cast("Mapping[str, Any]", getattr(line, "facts", {})).values()
    if isinstance(line, Entry):
        if line.chunk is not None and line.chunk.given:
            asked += [line.chunk.samples, line.chunk.rate]
        if line.callback is not None:
            asked.append(line.callback.argument)
    elif isinstance(line, Mark) and callable(line.stage):
        asked.append(line.stage)
    yield from (reader for reader in asked if isinstance(reader, str) or callable(reader))


_PROPERTIES: Final = frozenset({"property", "cached_property"})


def _finding(name: str, found: Found, optional: bool = False) -> Finding:
    if found.state == FOUND and (found.is_class or _is_value(found.definition)):  # what is no call is not hooked
        why = "a class: name its method" if found.is_class else "a value, not a function or method"
        return Finding(f"{name} ({why})", MISSING, why, optional=optional)
    return Finding(name, found.state, found.why, found.kind if found.state == FOUND else "", optional=optional)


def _is_value(definition: ast.AST | None) -> bool:
    if isinstance(definition, ast.FunctionDef):
        return any(ast.unparse(each).rpartition(".")[2] in _PROPERTIES for each in definition.decorator_list)
    return isinstance(getattr(definition, "value", None), (ast.Constant, ast.List, ast.Tuple, ast.Dict))


def _kind(name: str, kinds: tuple[str, ...], found: Found, optional: bool) -> Iterator[Finding]:
    """Say so where a callable is of another kind than its line was written for: then its audio is not read."""
    if found.state == FOUND and found.kind not in (*kinds, "value", "class"):
        why = f"is a {found.kind}, not a {' or '.join(kinds)}: its audio is not read"
        yield Finding(name + " (kind)", MISSING, why, callable=False, optional=optional)


def _parameter(packages: Packages, name: str, parameter: str, found: Found, optional: bool) -> Finding:
    taken = takes(packages, found, parameter)
    state = UNREAD if taken is None else FOUND if taken else MISSING
    why = f"no parameter {parameter}" if state == MISSING else ""
    return Finding(f"{name}({parameter})", state, why, callable=False, optional=optional)


# --- functions that read a call -------------------------------------------------------------------------


def asked_for(reader: Callable[..., Any]) -> set[str]:
    """Return the names of arguments that a function of a `Call` reads, as its own source says."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(reader)))
    except (OSError, TypeError, SyntaxError):  # a lambda inside a table, or no source at all
        return set()
    return {name for node in ast.walk(tree) if (name := _argument(node)) is not None}


def _argument(node: ast.AST) -> str | None:
    """Return ``"x"`` for ``….arguments["x"]`` and ``….arguments.get("x")``."""
    if isinstance(node, ast.Subscript):
        holder, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        holder, key = node.func.value, node.args[0]
    else:
        return None
    of_call = isinstance(holder, ast.Attribute) and holder.attr == "arguments"
    return key.value if of_call and isinstance(key, ast.Constant) and isinstance(key.value, str) else None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Tables that others write: loaded from their entry points, held against the form that `otel_tts.engines.table` states.

A wrong table is described, with its message, file and line, and left out; it breaks neither the service nor the others.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import traceback
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

from otel_tts.engines.table import Engine

GROUP: Final = "otel_tts_engine"

_OWN: Final = str(Path(__file__).parents[1])
_LONGEST: Final = 1000
"""Characters of a message; what an error quotes may be of any length."""


@dataclass(frozen=True)
class Wrong:
    """A table that cannot be used. `table` says which it is, `distribution` who brings it, `error` what is wrong, with
    file and line where they are known."""

    name: str
    table: str
    distribution: str
    error: str


def load(point: metadata.EntryPoint) -> Engine | Wrong:
    """Return the table that an entry point names, or what is wrong with it. Runs the code of its module."""
    brought = point.dist
    distribution = f"{brought.name} {brought.version}" if brought is not None else ""
    try:
        found: object = point.load()
    except (Exception, SystemExit) as error:
        return Wrong(point.name, point.value, distribution, _explain(error, point))
    trouble = problem(found)
    if trouble is None:
        return cast("Engine", found)
    return Wrong(point.name, point.value, distribution, _at(trouble, _defined(point.module, point.attr)))


def problem(table: object) -> str | None:
    """Return what of `table` has not the form of an `Engine`, None where all of it has."""
    if not isinstance(table, Engine):
        return f"{_shown(table)} is no otel_tts.Engine"
    return "; ".join(_misfits(table, "")) or None


def caller() -> str:
    """Return file and line of the code outside of otel-tts that is calling."""
    frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(_OWN)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


# --- the form -------------------------------------------------------------------------------------------


def _misfits(row: Any, path: str) -> Iterator[str]:
    """Yield each field of a line of the table whose value is not of the kind that the field is annotated with."""
    hints = _hints(cast("type[object]", type(row)))
    for field in fields(row):
        value, hint = getattr(row, field.name), hints[field.name]
        name = f"{path}{field.name}"
        if not _fits(value, hint):
            alone = any(_fits((value,), each) for each in _kinds(hint) if get_origin(each) in (tuple, frozenset))
            more = ", one alone: a comma is missing, or brackets" if alone else f", not {field.type}"
            yield f"{name} is {_shown(value)}{more}"
            continue
        several = isinstance(value, (tuple, list))
        for number, inner in enumerate(cast("Collection[Any]", value) if several else (value,)):
            if is_dataclass(inner):
                yield from _misfits(inner, f"{name}[{number}]." if several else f"{name}.")


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` is of the kind `hint`; a list does for a tuple, any collection but a text for a set."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            return False
        items = cast("Collection[Any]", value)
        if inner[-1] is Ellipsis:
            return all(_fits(item, inner[0]) for item in items)
        return len(items) == len(inner) and all(map(_fits, items, inner))
    if origin is frozenset:
        many = isinstance(value, Collection) and not isinstance(value, (str, bytes))
        return many and all(_fits(item, inner[0]) for item in cast("Collection[Any]", value))
    if origin is Mapping:
        pairs = cast("Mapping[Any, Any]", value).items() if isinstance(value, Mapping) else [(None, None)]
        return all(_fits(key, inner[0]) and _fits(item, inner[1]) for key, item in pairs)
    if origin is Callable:
        return callable(value)
    if hint in (int, float):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


@cache
def _hints(row: type[object]) -> dict[str, Any]:
    return get_type_hints(row)


def _shown(value: object) -> str:
    try:
        told = repr(value)
    except Exception:
        told = f"a {type(value).__name__}"
    return told if len(told) <= 80 else f"{told[:80]}…"


# --- where ----------------------------------------------------------------------------------------------


def _explain(error: BaseException, point: metadata.EntryPoint) -> str:
    """Say what an error is, and where in the table's code it came from; of a name that is not there, its module."""
    if isinstance(error, SyntaxError):
        return _at(f"{type(error).__name__}: {error.msg}", f"{error.filename}:{error.lineno}" if error.filename else "")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_loader(frame.filename)]
    theirs = [frame for frame in frames if frame.filename.startswith(_home(Path(frames[0].filename)))]
    where = f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else _defined(point.module, point.attr)
    return _at(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, where)


def _at(message: str, where: str) -> str:
    """Return `message` as one line of bounded length, with where it is so."""
    line = " ".join(message.split())
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…") + (f" ({where})" if where else "")


_LOADERS: Final = tuple(str(Path(module.__file__ or "").parent) for module in (importlib.util, metadata))


def _is_loader(file: str) -> bool:
    return file.startswith(("<", _OWN, *_LOADERS))


def _home(file: Path) -> str:
    """Return how paths of the package of `file` begin; of a module that is in none, its own."""
    return f"{file.parent}/" if (file.parent / "__init__.py").is_file() else str(file)


def _defined(module: str, name: str) -> str:
    """Return file and line where a module binds the first part of the dotted `name`, as far as they can be read."""
    try:
        file = inspect.getsourcefile(importlib.import_module(module)) or ""
        tree = ast.parse(Path(file).read_bytes()) if file else None
    except (Exception, SystemExit):
        return ""
    wanted = name.partition(".")[0]
    for node in tree.body if tree is not None else ():
        bound = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == wanted for target in bound):
            return f"{file}:{node.lineno}"
    return file

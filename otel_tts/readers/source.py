# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Finds callables in Python packages by reading their source with `ast`: nothing is imported, no code of theirs runs.

A package is read where it is installed (`Installed`) or out of wheels (`Wheels`). What reading cannot decide, such as a
base class in a package that is not there, is told apart from what is missing.
"""

from __future__ import annotations

import ast
import importlib.util
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final, Protocol

FOUND, MISSING, UNREAD = "found", "missing", "unread"

_DEPTH: Final = 40
"""Names followed from one to the next: further is a circle."""
_BUILTIN_BASES: Final = frozenset({"object", "Exception", "dict", "list", "tuple", "str", "type"})
_TYPING_BASES: Final = frozenset({"ABC", "Protocol", "Generic", "Enum", "NamedTuple", "TypedDict"})


@dataclass(frozen=True)
class Found:
    """Where a dotted name leads. `state` is FOUND, MISSING or UNREAD; `why` says what stood in the way.

    `definition` is the function, class or assignment; `module` is where it stands; `owner` the class that was named, of
    which a method is the attribute.
    """

    state: str
    why: str = ""
    definition: ast.AST | None = None
    module: Module | None = None
    owner: Found | None = None

    @property
    def is_class(self) -> bool:
        return isinstance(self.definition, ast.ClassDef)

    @property
    def kind(self) -> str:
        """What a call gives: "function", "generator", "coroutine", "async generator", "class" or "value"."""
        if isinstance(self.definition, ast.ClassDef):
            return "class"
        if not isinstance(self.definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return "value"
        if isinstance(self.definition, ast.AsyncFunctionDef):
            return "async generator" if _yields(self.definition) else "coroutine"
        return "generator" if _yields(self.definition) else "function"

    def takes(self, parameter: str) -> bool | None:
        """Whether a call can name `parameter`; None where that cannot be read."""
        if self.is_class and self.module is not None:
            return self.module.packages.member(self, "__init__").takes(parameter)
        if self.state == UNREAD and self.module is not None and self.module.binary is not None:
            return self.module.holds(parameter)
        if not isinstance(self.definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return None
        taken = self.definition.args
        known = {each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)}
        return parameter in known or taken.kwarg is not None


@dataclass(frozen=True)
class _File:
    """The text of a module, or the bytes of a compiled one."""

    text: bytes
    package: bool = False
    compiled: bool = False


class Packages:
    """Python modules by name, as far as `_read` of a subclass finds them."""

    def __init__(self) -> None:
        self._modules: dict[str, Module | None] = {}

    def _read(self, name: str) -> _File | None:
        raise NotImplementedError

    def module(self, name: str) -> Module | None:
        """Return the module, None where it is not there."""
        if name not in self._modules:
            file = self._read(name)
            self._modules[name] = None if file is None else Module(self, name, file)
        return self._modules[name]

    def find(self, module: str, target: str) -> Found:
        """Follow the dotted `target` in `module` as attribute access would, through imports and base classes."""
        start = self.module(module)
        if start is None:
            top = module.partition(".")[0]
            if self.module(top) is None:
                return Found(UNREAD, f"the package {top} is not among those that are read")
            return Found(MISSING, f"there is no module {module}")
        return _Names(self).follow(start, target.split("."))

    def member(self, owner: Found, name: str) -> Found:
        """Find the attribute `name` of a class."""
        return _Names(self).member(owner, name, 0)

    def attribute(self, owner: Found, path: str) -> Found:
        """Find an attribute path of an instance of `owner`; beyond the first name as far as types are written down."""
        return _Names(self).instance(owner, path.split("."), 0)


class Wheels(Packages):
    """Modules in wheels (or other zip files), or below folders."""

    def __init__(self, *places: Path) -> None:
        super().__init__()
        self._places: dict[str, Path | zipfile.ZipFile] = {}
        for place in places:
            opened = place if place.is_dir() else zipfile.ZipFile(place)
            for name in _names_in(opened):
                self._places.setdefault(name, opened)

    def _read(self, name: str) -> _File | None:
        path = name.replace(".", "/")
        for ending, package in ((".py", False), ("/__init__.py", True), (".pyi", False), ("/__init__.pyi", True)):
            if path + ending in self._places:
                return _File(self._bytes(path + ending), package)
        for inner in self._places:
            if inner.startswith(path + ".") and inner.endswith(".so"):
                return _File(self._bytes(inner), compiled=True)
            if inner.startswith(path + "/"):
                return _File(b"", package=True)  # a namespace package
        return None

    def _bytes(self, name: str) -> bytes:
        place = self._places[name]
        return place.read(name) if isinstance(place, zipfile.ZipFile) else (place / name).read_bytes()


class Installed(Packages):
    """Modules as this interpreter would import them; only the place of a top-level package is asked for."""

    def _read(self, name: str) -> _File | None:
        top, _, rest = name.partition(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if not rest:
            file = Path(spec.origin) if spec.origin and spec.has_location else None
            if file is None:
                return _File(b"", package=True) if spec.submodule_search_locations else None
            return _load(file, spec.submodule_search_locations is not None)
        inner = Path(*rest.split("."))
        for root in spec.submodule_search_locations or ():
            at = Path(root) / inner
            for file, package in ((at.with_name(at.name + ".py"), False), (at / "__init__.py", True)):
                if file.is_file():
                    return _load(file, package)
            for suffix in EXTENSION_SUFFIXES:
                if (file := at.with_name(at.name + suffix)).is_file():
                    return _load(file, False)
            if at.is_dir():
                return _File(b"", package=True)
        return None


def _load(file: Path, package: bool) -> _File:
    return _File(file.read_bytes(), package, compiled=file.suffix not in (".py", ".pyi"))


def _names_in(place: Path | zipfile.ZipFile) -> list[str]:
    if isinstance(place, zipfile.ZipFile):
        return place.namelist()
    return [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()]


# --- one module -----------------------------------------------------------------------------------------


class Module:
    """What the top level of a module binds, in whatever branch. `binary` has the bytes of a compiled module."""

    def __init__(self, packages: Packages, name: str, file: _File) -> None:
        self.packages = packages
        self.name = name
        self.package = file.package
        self.binary = file.text if file.compiled else None
        self.trouble = ""
        self._text = b"" if file.compiled else file.text

    @cached_property
    def bindings(self) -> Bindings:
        try:
            return Bindings.of(ast.parse(self._text).body)
        except (SyntaxError, ValueError) as error:
            self.trouble = f"{self.name} is not read by this Python: {error}"
            return Bindings()

    def holds(self, name: str) -> bool:
        """Whether a compiled module has a string that ends in `name`: what it binds stands there, and other words.

        Linkers keep a string that is the end of another one only once.
        """
        return self.binary is not None and name.encode() + b"\0" in self.binary

    def absolute(self, node: ast.ImportFrom) -> str:
        """Return the module that `from … import` names, relative ones made absolute."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        base = parts[: len(parts) - node.level + (1 if self.package else 0)]
        return ".".join([*base, *([node.module] if node.module else [])])


@dataclass
class Bindings:
    """Names and what binds them, in the order of the text; `stars` are the modules of ``from … import *``."""

    names: dict[str, list[ast.AST]] = field(default_factory=dict[str, list[ast.AST]])
    stars: list[ast.ImportFrom] = field(default_factory=list[ast.ImportFrom])

    @classmethod
    def of(cls, body: Iterable[ast.stmt]) -> Bindings:
        made = cls()
        for node in _flat(body):
            made._add(node)
        return made

    def _add(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self._bind(node.name, node)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                self._bind(alias.asname or alias.name.partition(".")[0], node)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*":
                    self.stars.append(node)
                else:
                    self._bind(alias.asname or alias.name, node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                for name in _target_names(target):
                    self._bind(name, node)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            for name in _target_names(node.target):
                self._bind(name, node)

    def _bind(self, name: str, node: ast.AST) -> None:
        self.names.setdefault(name, []).append(node)


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body and of its branches, without those of functions and classes in it."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.For, ast.While)):
            yield from _flat([*node.body, *node.orelse])
        elif isinstance(node, ast.With):
            yield from _flat(node.body)
        elif isinstance(node, ast.Try):
            handled = [inner for handler in node.handlers for inner in handler.body]
            yield from _flat([*handled, *node.body, *node.orelse, *node.finalbody])


def _target_names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _target_names(each)


# --- following names ------------------------------------------------------------------------------------


class _Function(Protocol):
    body: list[ast.stmt]


class _Names:
    """Follows names from module to module. Of several bindings of a name the one that says most wins."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages

    def follow(self, module: Module, parts: list[str], depth: int = 0) -> Found:
        first, *rest = parts
        if module.binary is not None:
            lacking = [part for part in parts if not module.holds(part)]
            if lacking:
                return Found(MISSING, f"the compiled {module.name} does not name {lacking[0]}", module=module)
            return Found(UNREAD, f"{module.name} is compiled; the names stand in it", module=module)
        if depth > _DEPTH:
            return Found(UNREAD, f"{module.name}.{first} leads round in a circle")
        bindings = module.bindings
        candidates = [self._bound(module, node, first, rest, depth) for node in reversed(bindings.names.get(first, ()))]
        if not candidates:
            for found in self._from_elsewhere(module, first, rest, depth):
                candidates.append(found)
                if found.state == FOUND:
                    break
        if not candidates:
            if "__getattr__" in bindings.names:
                return Found(UNREAD, f"{module.name} makes its names as they are asked for", module=module)
            return Found(MISSING, module.trouble or f"{module.name} has no {first}", module=module)
        return _best(candidates)

    def _from_elsewhere(self, module: Module, first: str, rest: list[str], depth: int) -> Iterator[Found]:
        for star in module.bindings.stars:
            source = self._packages.module(module.absolute(star))
            if source is None:
                yield Found(UNREAD, f"{first} may come from {module.absolute(star)}, which is not read")
            elif source is not module:
                found = self.follow(source, [first, *rest], depth + 1)
                if found.state != MISSING:
                    yield found
        inner = self._packages.module(f"{module.name}.{first}") if module.package else None
        if inner is not None:
            yield self.follow(inner, rest, depth + 1) if rest else Found(FOUND, module=inner)

    def _bound(self, module: Module, node: ast.AST, name: str, rest: list[str], depth: int) -> Found:
        if isinstance(node, ast.ImportFrom):
            alias = next(each for each in node.names if (each.asname or each.name) == name)
            return self._imported(module.absolute(node), alias.name, rest, depth)
        if isinstance(node, ast.Import):
            alias = next(each for each in node.names if (each.asname or each.name.partition(".")[0]) == name)
            target = alias.name if alias.asname else name
            source = self._packages.module(target)
            if source is None:
                return Found(UNREAD, f"{target} is not among the packages that are read")
            return self.follow(source, rest, depth + 1) if rest else Found(FOUND, module=source)
        path = _path(node.value) if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None else None
        if path is not None and path != [name]:
            return self.follow(module, [*path, *rest], depth + 1)
        return self._inside(Found(FOUND, definition=node, module=module), rest, depth)

    def _imported(self, source: str, name: str, rest: list[str], depth: int) -> Found:
        module = self._packages.module(source)
        if module is None:
            if (top := self._packages.module(source.partition(".")[0])) is not None:
                return Found(MISSING, f"there is no module {source}", module=top)
            return Found(UNREAD, f"{source} is not among the packages that are read")
        found = self.follow(module, [name, *rest], depth + 1)
        inner = self._packages.module(f"{source}.{name}") if module.package and found.state != FOUND else None
        if inner is None:
            return found
        return self.follow(inner, rest, depth + 1) if rest else Found(FOUND, module=inner)

    def _inside(self, found: Found, rest: list[str], depth: int) -> Found:
        if not rest:
            return found
        if found.is_class:
            return self._inside(self.member(found, rest[0], depth + 1), rest[1:], depth + 1)
        if found.state != FOUND:
            return found
        return Found(UNREAD, f"what {rest[0]} is an attribute of is made at run time", module=found.module)

    def member(self, owner: Found, name: str, depth: int) -> Found:
        """Find `name` in the class's body or in that of its bases."""
        assert isinstance(owner.definition, ast.ClassDef) and owner.module is not None
        if depth > _DEPTH:
            return Found(UNREAD, f"the bases of {owner.definition.name} lead round in a circle")
        nodes = Bindings.of(owner.definition.body).names.get(name)
        if nodes:
            node = _said_most(nodes)
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None and (path := _path(node.value)):
                alias = self.member(owner, path[0], depth + 1) if len(path) == 1 and path != [name] else None
                if alias is None or alias.state != FOUND:
                    alias = self.follow(owner.module, path, depth + 1)
                if alias.state == FOUND:
                    return Found(FOUND, "", alias.definition, alias.module, owner)
            return Found(FOUND, "", node, owner.module, owner)
        inherited = [
            base if base.state != FOUND else self.member(base, name, depth + 1) for base in self.bases(owner, depth)
        ]
        if inherited and (found := _best(inherited)).state != MISSING:
            return Found(found.state, found.why, found.definition, found.module, owner)
        return Found(MISSING, f"{owner.module.name}.{owner.definition.name} has no {name}", module=owner.module)

    def bases(self, owner: Found, depth: int = 0) -> Iterator[Found]:
        """Yield the classes that `owner` derives from directly; one that cannot be read says so."""
        assert isinstance(owner.definition, ast.ClassDef) and owner.module is not None
        for base in owner.definition.bases:
            path = _path(base.value if isinstance(base, ast.Subscript) else base)
            if path is None:
                yield Found(UNREAD, f"a base of {owner.definition.name} is made at run time")
            elif path[-1] in _BUILTIN_BASES | _TYPING_BASES:
                continue
            else:
                found = self.follow(owner.module, path, depth + 1)
                plain = found.is_class or found.state != FOUND
                yield found if plain else Found(UNREAD, f"{path[-1]} is no plain class")

    def instance(self, owner: Found, path: list[str], depth: int) -> Found:
        """Find what an instance of `owner` has under `path`."""
        first, *rest = path
        found = self._instance_attribute(owner, first, depth)
        if not rest or found.state != FOUND:
            return found
        kind = self._type_of(found)
        if kind is None:  # untyped: the first name is all that can be said
            return Found(FOUND, f"the type of {first} is not written down", found.definition, found.module, owner)
        return self.instance(kind, rest, depth + 1)

    def _instance_attribute(self, owner: Found, name: str, depth: int) -> Found:
        assert isinstance(owner.definition, ast.ClassDef) and owner.module is not None
        member = self.member(owner, name, depth)
        if member.state == FOUND:
            return member
        for node in ast.walk(owner.definition):
            if _sets(node, name):
                return Found(FOUND, "", node, owner.module, owner)
        unread: Found | None = member if member.state == UNREAD else None
        for base in self.bases(owner, depth):
            if base.is_class and depth < _DEPTH:
                found = self._instance_attribute(base, name, depth + 1)
                if found.state == FOUND:
                    return found
                unread = unread or (found if found.state == UNREAD else None)
        if "__getattr__" in Bindings.of(owner.definition.body).names or _sets_any(owner.definition):
            unread = unread or Found(UNREAD, f"{owner.definition.name} makes its attributes at run time")
        return unread or Found(MISSING, f"nothing sets self.{name} in {owner.definition.name}", module=owner.module)

    def _type_of(self, found: Found) -> Found | None:
        """Return the class that an attribute is annotated with, None where there is no annotation to follow."""
        node = found.definition
        annotation = (
            node.annotation if isinstance(node, ast.AnnAssign)
            else node.returns if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            else None
        )  # fmt: skip
        path = _path(annotation) if annotation is not None else None
        if path is None or found.module is None:
            return None
        kind = self.follow(found.module, path)
        return kind if kind.is_class else None


def _best(candidates: list[Found]) -> Found:
    order = (FOUND, UNREAD, MISSING)
    return min(candidates, key=lambda found: (order.index(found.state), found.definition is None))


def _said_most(nodes: list[ast.AST]) -> ast.AST:
    """Of several definitions the last one that is a function with a body, not an overload."""
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    return (functions or nodes)[-1]


def _path(node: ast.expr) -> list[str] | None:
    """Return ``["a", "b"]`` for the expression ``a.b``, None for any other."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (inner := _path(node.value)) is not None:
        return [*inner, node.attr]
    return None


def _sets(node: ast.AST, name: str) -> bool:
    """Whether `node` gives an instance the attribute `name`: ``self.name = …``, also in a loop or a register_buffer."""
    if isinstance(node, ast.AnnAssign):
        return _path(node.target) == ["self", name]
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Store) and node.attr == name and _path(node.value) == ["self"]
    if isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[0], ast.Constant):
        called = _path(node.func)
        return node.args[0].value == name and called is not None and called[-1] in _REGISTERING
    return False


def _sets_any(definition: ast.ClassDef) -> bool:
    """Whether instances get attributes that the text does not name: ``setattr(self, key, …)``, ``self.__dict__``."""
    for node in ast.walk(definition):
        if isinstance(node, ast.Call) and _path(node.func) == ["setattr"] and len(node.args) > 1:
            if _path(node.args[0]) == ["self"] and not isinstance(node.args[1], ast.Constant):
                return True
        elif isinstance(node, ast.Attribute) and node.attr == "__dict__" and _path(node.value) == ["self"]:
            return True
    return False


_REGISTERING: Final = frozenset({"register_buffer", "register_parameter", "register_module", "add_module"})


def _yields(function: _Function) -> bool:
    """Whether the function's own body yields; what functions inside it do is theirs."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))
    return False

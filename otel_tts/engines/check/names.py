# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Follows names through Python packages by reading their source with `ast`: nothing is imported, none of it runs.

What reading cannot decide, such as a base class in a package that is not there, is told apart from what is missing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from otel_tts.engines.check.modules import Bindings, Module
from otel_tts.engines.check.packages import Packages

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


def find(packages: Packages, module: str, target: str) -> Found:
    """Follow the dotted `target` in `module` as attribute access would, through imports and base classes."""
    start = packages.module(module)
    if start is None:
        top = module.partition(".")[0]
        if packages.module(top) is None:
            return Found(UNREAD, f"the package {top} is not among those that are read")
        return Found(MISSING, f"there is no module {module}")
    return _Names(packages).follow(start, target.split("."))


def attribute(packages: Packages, owner: Found, path: str) -> Found:
    """Find an attribute path of an instance of `owner`; beyond the first name as far as types are written down."""
    return _Names(packages).instance(owner, path.split("."), 0)


def takes(packages: Packages, found: Found, parameter: str) -> bool | None:
    """Whether a call of `found` can name `parameter`; None where that cannot be read."""
    if found.is_class:
        return takes(packages, _Names(packages).member(found, "__init__", 0), parameter)
    if found.state == UNREAD and found.module is not None and found.module.binary is not None:
        return found.module.holds(parameter)
    if not isinstance(found.definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    taken = found.definition.args
    known = {each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)}
    return parameter in known or taken.kwarg is not None


def _unmangled(name: str, owner: str) -> str:
    """Return how a class's body writes a name of its own: ``__stream`` for ``_Communicate__stream``."""
    return name.removeprefix(f"_{owner.lstrip('_')}") if name.startswith(f"_{owner.lstrip('_')}__") else name


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
        written = Bindings.of(owner.definition.body).names
        nodes = written.get(name) or written.get(_unmangled(name, owner.definition.name))
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

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One module of source: what its top level binds, in whatever branch, read with `ast`; none of its code runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class File:
    """The text of a module, or the bytes of a compiled one."""

    text: bytes
    package: bool = False
    compiled: bool = False


class Module:
    """What the top level of a module binds, in whatever branch. `binary` has the bytes of a compiled module."""

    def __init__(self, name: str, file: File) -> None:
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

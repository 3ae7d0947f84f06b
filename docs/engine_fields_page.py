# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/engine-fields.md: every field of an engine's table, from the docstrings of otel_tts/engines/table.py."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from otel_tts.engines import table as source

ROWS = ("Engine", "Entry", "Chunk", "Callback", "Seam", "Mark", "Load", "Finish", "Keep", "Graph")
TERMS = ("Call", "Reader", "Last", "Finisher")


def page(head: str, table: Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]) -> str:
    """Return the page's text, `head` its first comment; `table` draws as the other pages do.

    Raises ValueError for a field without a docstring.
    """
    tree = ast.parse(inspect.getsource(source))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    meanings = dict(_aliases(tree)) | {name: prose(ast.get_docstring(node)) for name, node in classes.items()}
    sections = "\n\n".join(
        f"## {name}\n\n{meanings[name]}\n\n" + table(("field", "type", "default", "meaning"), rows(classes[name]))
        for name in ROWS
    )
    terms = "\n".join(f"- `{name}`: {meanings[name]}" for name in TERMS)
    return f"""# The fields of an engine's table

{head}

How a table is written, with examples: [engine-tables.md](engine-tables.md). All of these are in `otel_tts`. All
fields may be given by name; one without a default has to be given.

{sections}

## Words for types

{terms}

`Stage` has the names of stages. What a function in a table raises is contained: it costs what it was to say, and never
the call.
"""


def rows(node: ast.ClassDef) -> Iterator[tuple[str, ...]]:
    """Yield name, type, default and meaning of each field of a dataclass."""
    for statement, after in pairwise([*node.body, None]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if (meaning := _docstring(after)) is None:
                raise ValueError(f"{node.name}.{name} in otel_tts/engines/table.py has no docstring")
            yield f"`{name}`", f"`{ast.unparse(statement.annotation)}`", _default(statement.value), prose(meaning)


def prose(docstring: str | None) -> str:
    """Return a docstring as a paragraph of Markdown."""
    return " ".join((docstring or "").split()).replace("``", "`")


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for statement, after in pairwise(tree.body):
        if isinstance(statement, ast.Assign) and (meaning := _docstring(after)) is not None:
            yield ast.unparse(statement.targets[0]), prose(meaning)


def _docstring(statement: ast.stmt | None) -> str | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value if isinstance(statement.value.value, str) else None
    return None


def _default(value: ast.expr | None) -> str:
    if value is None:
        return ""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        made_by = next(keyword.value for keyword in value.keywords if keyword.arg == "default_factory")
        return "`{}`" if isinstance(made_by, ast.Subscript) else f"`{ast.unparse(made_by)}()`"
    return f"`{ast.unparse(value)}`".replace("'", '"')

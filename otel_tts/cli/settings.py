# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts settings`: every setting with the value that it has here and now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from otel_tts.cli import output
from otel_tts.settings import MASK, SETTINGS, Setting, read


def settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of a table.")] = False,
) -> None:
    """Show every setting of otel-tts, its value in this environment and what it means.

    Everything that OpenTelemetry itself has a variable for (endpoint, sampler, service name) is set by that variable.
    """
    rows, problems = describe(os.environ)
    if as_json:
        output.print_json({"settings": rows, "problems": problems})
        return
    output.stdout().print(_table(rows))
    for problem in problems:
        output.say(problem)


def describe(environ: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row a setting, with secrets masked, and what in `environ` could not be understood."""
    effective = read(environ)
    rows = [
        {
            "variable": setting.variable,
            "value": _masked(setting, getattr(effective, setting.field)),
            "default": setting.default,
            "changed": getattr(effective, setting.field) != setting.default,
            "kind": setting.kind,
            "meaning": setting.meaning,
        }
        for setting in SETTINGS
    ]
    return rows, list(effective.problems)


def _masked(setting: Setting, value: Any) -> Any:
    return MASK if setting.secret and value else value


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("variable", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("meaning")
    for row in rows:
        style = "bold yellow" if row["changed"] else ""
        meaning = Text.assemble(row["meaning"], (f" ({row['kind']})", "dim"))
        table.add_row(row["variable"], Text(_shown(row["value"]), style=style), meaning)
    return table


def _shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple() | list():
            return ",".join(str(part) for part in value) or "(none)"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case float():
            return f"{value:g}"
        case _:
            return str(value) or "(none)"

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts engines`: which speech engines are known, installed, and fit their table of seams."""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from otel_tts.cli import output
from otel_tts.engines.check.survey import Status, survey

if TYPE_CHECKING:
    pass


def engines(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE:NAME",
            help="Tables to look at too: of a module that no entry point names.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of a table.")] = False,
) -> None:
    """Show the known speech engines: installed or not, which version, and whether every seam was found in it.

    The engines' source is read; none of it is run. A seam that is missing costs a stage in the trace, never the
    synthesis. Checkouts and modules are also looked for in this folder, as `otel-tts run` does.

    Exit status: 0 when every installed engine has all that its table names, 1 when something is missing or a table is
    wrong, 2 for wrong use.
    """
    named = [_point(table) for table in tables or ()]
    found = list(survey(named))
    if as_json:
        output.print_json({"engines": [asdict(status) for status in found]})
    else:
        output.stdout().print(_table(found))
    if any(status.lacking or status.error for status in found):
        raise typer.Exit(1)


def _point(table: str) -> metadata.EntryPoint:
    if not re.fullmatch(r"[\w.]+:[\w.]+", table):
        raise typer.BadParameter(f"{table!r} is not MODULE:NAME, as in speaks.telemetry:ENGINE")
    return metadata.EntryPoint(table, table, "")


def _table(found: list[Status]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("engine", "distribution", "installed", "seams"):
        table.add_column(title, overflow="fold")
    for status in found:
        version = "–" if not status.installed else status.version or "source"
        from_where = status.distribution or ("" if status.error else f"source with {status.module}")
        table.add_row(status.name, from_where, version, _seams(status))
    return table


def _seams(status: Status) -> Text:
    if status.error is not None:
        return Text(f"the table {status.module} is wrong: {status.error}", style="red")
    if not status.installed:
        return Text("")
    lines = [
        Text(f"{title}: " + ", ".join(names), style="yellow")
        for title, names in (("missing", status.missing), ("facts missing", status.facts))
        if names
    ]
    for why in sorted({line.partition(": ")[2] for line in status.unread}):
        lines.append(Text(f"as far as can be read: {why}", style="dim"))
    return Text("\n").join(lines) if lines else Text("all found", style="green")

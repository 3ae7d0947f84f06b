# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts engines`: which speech engines are known, installed, and fit their table of seams."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from otel_tts.cli import output


def engines(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of a table.")] = False,
) -> None:
    """Show the known speech engines: installed or not, which version, and whether every seam was found in it.

    A seam that is missing costs a stage in the trace, never the synthesis.
    """
    # Here, since the hooks bring OpenTelemetry with them and `otel-tts --help` should not wait for it.
    from otel_tts.instrumentation.engines import all_engines
    from otel_tts.instrumentation.hooks import inspect_engine

    found = [asdict(inspect_engine(engine)) for engine in all_engines()]
    if as_json:
        output.print_json({"engines": found})
        return
    output.stdout().print(_table(found))


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("engine", "distribution", "installed", "seams"):
        table.add_column(title, overflow="fold")
    for status in found:
        table.add_row(status["name"], status["distribution"] or "–", status["version"] or "–", _seams(status))
    return table


def _seams(status: dict[str, Any]) -> Text:
    if status["missing"]:
        return Text("missing: " + ", ".join(status["missing"]), style="yellow")
    return Text("all found", style="green") if status["version"] else Text("")

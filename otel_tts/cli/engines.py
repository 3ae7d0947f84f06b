# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts engines`: which speech engines are known, installed, and fit their table of seams."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from otel_tts.cli import output
from otel_tts.readers.seams import check
from otel_tts.readers.source import FOUND, UNREAD, Installed, Packages

if TYPE_CHECKING:
    from otel_tts.engine import Engine


@dataclass(frozen=True)
class Status:
    """What is known of one engine on this machine, from its source: no code of it has run.

    `module` is what its hooks wait for. `version` is None where there is no distribution: not `installed`, or a source
    checkout. Of the table's `seams`, `missing` are not there, `unread` could not be looked at, with the reason; `facts`
    are arguments and attributes that are not there. `error` says what is wrong with a table that is not used at all.
    """

    name: str
    distribution: str
    module: str
    installed: bool
    version: str | None
    seams: int
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    error: str | None = None

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the table names and the engine does not have."""
        return self.missing + self.facts


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


def survey(named: Iterable[metadata.EntryPoint] = ()) -> Iterator[Status]:
    """Look at every engine that has a table here, and at the tables that `named` lead to."""
    # Here, since the hooks bring OpenTelemetry with them and `otel-tts --help` should not wait for it.
    from otel_tts.instrumentation.engines import known
    from otel_tts.instrumentation.tables import Wrong, load

    if (here := str(Path.cwd())) not in sys.path:  # a command's is its own folder; `otel-tts run` adds this one too
        sys.path.append(here)
    packages = Installed()
    for table in (*known(), *map(load, named)):
        if isinstance(table, Wrong):
            yield Status(table.name, table.distribution, table.table, False, None, 0, error=table.error)
        else:
            yield look(table, packages)


def look(engine: Engine, packages: Packages) -> Status:
    """Hold one table against what is installed."""
    from otel_tts.instrumentation.hooks import installed_version

    version = installed_version(engine.distribution)
    findings = check(engine, packages)
    seams = [finding for finding in findings if finding.callable and not finding.optional]
    if not (version is not None if engine.distribution else _checked_out(engine, packages)):
        return Status(engine.name, engine.distribution, engine.module, False, None, len(seams))
    return Status(
        engine.name,
        engine.distribution,
        engine.module,
        True,
        version,
        len(seams),
        tuple(finding.name for finding in seams if finding.lacking),
        tuple(f"{finding.name}: {finding.why}" for finding in seams if finding.state == UNREAD),
        tuple(f"{finding.name}: {finding.why}" for finding in findings if finding.lacking and not finding.callable),
    )


def _checked_out(engine: Engine, packages: Packages) -> bool:
    """Whether the modules of an engine without a distribution can be imported, as from a source checkout."""
    under = (engine.module, *(f"{prefix}.{engine.module}" for prefix in engine.prefixes))
    present = [name for name in under if packages.module(name) is not None]
    return bool(present) and (not engine.only_with or packages.find(present[0], engine.only_with).state == FOUND)


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

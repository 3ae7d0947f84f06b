# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts doctor`: is everything here that telemetry needs, and on a GPU, does it keep its promises?"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from otel_tts.cli import output
from otel_tts.doctor.basics import examine
from otel_tts.doctor.check import FAIL, MEASURED, PASS, SKIP, WARN, Check
from otel_tts.trouble import WrongUse

if TYPE_CHECKING:  # read where it is used: `otel-tts --help` does not wait for it
    from otel_tts.readers.choice import Places

_STYLES: Final = {PASS: "green", FAIL: "bold red", WARN: "yellow", SKIP: "dim", MEASURED: "cyan"}

_OWN_S: Final = 30.0
_ASKED_S: Final = 75.0
"""A service exports its figures once a minute, unless it was told otherwise."""


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Run the checks that need a CUDA device too.")] = False,
    canary: Annotated[
        bool, typer.Option("--canary", help="Speak a request and look for it in each store instead.")
    ] = False,
    ask: Annotated[
        str | None, typer.Option(metavar="URL", help="Have a running service speak it: implies --canary.")
    ] = None,
    body: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON that is posted to --ask.", show_default=False)
    ] = None,
    service: Annotated[str | None, typer.Option(help="Judge a service's requests of a day too: by its name.")] = None,
    within: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="How long the canary is looked for: 30, asked 75.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of files, as OTEL_TTS_FILE_DIR.", show_default=False)
    ] = None,
    traces: Annotated[str | None, typer.Option(metavar="URL", help="Store of traces: Jaeger, Tempo.")] = None,
    logs: Annotated[str | None, typer.Option(metavar="URL", help="Store of log records: VictoriaLogs, Loki.")] = None,
    metrics: Annotated[str | None, typer.Option(metavar="URL", help="Store of metrics: Prometheus.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of a table.")] = False,
) -> None:
    """Look whether everything is here that telemetry needs, and say what to do where it is not.

    With --gpu also check on the device itself that nothing is synchronised, that device times and memory peaks are what
    PyTorch's own tools say, and measure what it costs. Takes about a minute and changes no setting of the card.

    With --canary a request is spoken, by a process of its own or by the service at --ask, and looked for in each store
    until it is there whole; then a score says how much is known of the service's requests, and what to do for more.

    Exit status: 0 when all is well, 1 when something failed, 2 for wrong use.
    """
    if canary or ask is not None:
        from otel_tts.readers.choice import Places

        with output.explained():
            checks, more = _end_to_end(ask, body, service, within, Places(folder, traces, logs, metrics))
        _show(checks, as_json, more)
        return
    checks = list(examine(os.environ))
    if gpu:
        from otel_tts.doctor.gpu import examine_gpu

        checks += examine_gpu()
    _show(checks, as_json, {})


def _end_to_end(
    ask: str | None, body: Path | None, service: str | None, within: float | None, places: Places
) -> tuple[list[Check], dict[str, Any]]:
    """What is found of a canary, and the coverage for JSON."""
    from otel_tts.doctor import coverage
    from otel_tts.doctor.end_to_end import Asked, EndToEnd

    if places.folder is None and None in (places.traces, places.logs, places.metrics):
        from otel_tts.stack.run import Stack
        from otel_tts.stack.stores import KEEPS_S, addresses

        places = replace(places, stack=addresses(Stack()), stack_keeps_seconds=KEEPS_S)
    patience_s = (_OWN_S if ask is None else _ASKED_S) if within is None else within
    asked = Asked(ask, None if body is None else _text(body), service, patience_s)
    looking = EndToEnd(asked, places, os.environ)
    try:
        checks = list(looking.checks())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return checks, {} if looking.coverage is None else {"coverage": coverage.plain(looking.coverage)}


def _text(body: Path) -> str:
    try:
        return body.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WrongUse(f"{body} cannot be read: {why}") from None


def _show(checks: list[Check], as_json: bool, more: dict[str, Any]) -> None:
    if as_json:
        output.print_json({"checks": [asdict(check) for check in checks], **more})
    else:
        output.stdout().print(_table(checks))
    if any(check.status == FAIL for check in checks):
        raise typer.Exit(1)


def _table(checks: list[Check]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for check in checks:
        said = f"{check.detail}\n→ {check.fix}" if check.fix else check.detail
        table.add_row(check.name, Text(check.status, style=_STYLES[check.status]), Text(said))
    return table

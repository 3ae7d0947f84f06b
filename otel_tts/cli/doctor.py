# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts doctor`: is everything here that telemetry needs, and on a GPU, does it keep its promises?"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from otel_tts.cli import output
from otel_tts.doctor.basics import examine
from otel_tts.doctor.check import FAIL, MEASURED, PASS, SKIP, WARN, Check

_STYLES: Final = {PASS: "green", FAIL: "bold red", WARN: "yellow", SKIP: "dim", MEASURED: "cyan"}


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Run the checks that need a CUDA device too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of a table.")] = False,
) -> None:
    """Look whether everything is here that telemetry needs, and say what to do where it is not.

    With --gpu also check on the device itself that nothing is synchronised, that device times and memory peaks are what
    PyTorch's own tools say, and measure what it costs. Takes about a minute and changes no setting of the card.

    Exit status: 0 when all is well, 1 when something failed, 2 for wrong use.
    """
    checks = list(examine(os.environ))
    if gpu:
        from otel_tts.doctor.gpu import examine_gpu

        checks += examine_gpu()
    if as_json:
        output.print_json({"checks": [asdict(check) for check in checks]})
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
        table.add_row(check.name, Text(check.status, style=_STYLES[check.status]), Text(check.detail))
    return table

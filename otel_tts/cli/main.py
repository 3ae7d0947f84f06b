# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The command `otel-tts`."""

from __future__ import annotations

import gc
from typing import Annotated, Final

import typer

from otel_tts.cli import refused
from otel_tts.cli.encoding import write_anything
from otel_tts.cli.overview import Overview

app = typer.Typer(
    name="otel-tts",
    cls=Overview,
    invoke_without_command=True,
    rich_markup_mode="markdown",
    # A stack trace with local variables in it would print what was to be spoken.
    pretty_exceptions_enable=False,
)

_OBJECTS: Final = 50_000
"""New ones after which the collector looks: by its default it goes a hundred times through what a file is read into."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"otel-tts {version('otel-tts')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run() -> None:
    """Read the command line and do what it says."""
    write_anything()
    gc.set_threshold(_OBJECTS)
    try:
        with refused.told():
            app(prog_name="otel-tts")
    finally:
        gc.freeze()  # the interpreter's end would go through all that is there twice more: a sixth of a question's time


if __name__ == "__main__":
    run()

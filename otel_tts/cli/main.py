# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The command `otel-tts`."""

from __future__ import annotations

from typing import Annotated

import typer

from otel_tts.cli.demo import demo
from otel_tts.cli.doctor import doctor
from otel_tts.cli.encoding import write_anything
from otel_tts.cli.engines import engines
from otel_tts.cli.find import find
from otel_tts.cli.report import report
from otel_tts.cli.run import CONTEXT
from otel_tts.cli.run import run as run_command
from otel_tts.cli.settings import settings
from otel_tts.cli.stack import app as stack
from otel_tts.cli.view import view
from otel_tts.cli.voice import voice
from otel_tts.cli.watch import watch

app = typer.Typer(
    name="otel-tts",
    help="OpenTelemetry for speech synthesis: every request a trace with its stages, audio facts, metrics and logs.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    # A stack trace with local variables in it would print what was to be spoken.
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"otel-tts {version('otel-tts')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("run", context_settings=CONTEXT, options_metavar="-- COMMAND [ARGUMENTS]")(run_command)
app.command("demo")(demo)
app.command("settings")(settings)
app.command("engines")(engines)
app.command("doctor")(doctor)
app.command("find")(find)
app.command("view")(view)
app.command("report")(report)
app.command("voice")(voice)
app.command("watch")(watch)
app.add_typer(stack, name="stack")


def run() -> None:
    """Read the command line and do what it says."""
    write_anything()
    app(prog_name="otel-tts")


if __name__ == "__main__":
    run()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The command `otel-tts`."""

from __future__ import annotations

from typing import Annotated

import typer

from otel_tts.cli import refused
from otel_tts.cli.archive import archive
from otel_tts.cli.demo import demo
from otel_tts.cli.doctor import doctor
from otel_tts.cli.encoding import write_anything
from otel_tts.cli.engines import engines
from otel_tts.cli.find import find
from otel_tts.cli.overview import Overview
from otel_tts.cli.relay import relay
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
    cls=Overview,
    invoke_without_command=True,
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
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


# What `otel-tts --help` says of each: a line, so that all of them fit on a screen.
app.command(
    "run",
    context_settings=CONTEXT,
    options_metavar="-- COMMAND [ARGUMENTS]",
    short_help="start a service under otel-tts: otel-tts run -- uvicorn app:app",
)(run_command)
app.command("demo", short_help="speak a few sentences, and show what is seen of them")(demo)
app.command("doctor", short_help="is everything here, and does telemetry arrive? what to do if not")(doctor)
app.command("find", short_help="where a request's time went and why, by its id or by its kind")(find)
app.command("view", short_help="requests in a browser, as a file, or for Perfetto")(view)
app.command("watch", short_help="try a service, tell why it does not speak, and act if it may")(watch)
app.command("relay", short_help="alerts to people: the last failing lines, the slowest request")(relay)
app.command("archive", short_help="day files of log records to object storage, verified")(archive)
app.command("report", short_help="a month for who pays for it, as a page and as PDF")(report)
app.command("engines", short_help="the known speech engines, and whether they fit what is installed")(engines)
app.command("settings", short_help="every setting, its value here and what it means")(settings)
app.command("voice", short_help="the hash by which a recording's voice goes in telemetry")(voice)
app.add_typer(stack, name="stack", short_help="the servers on this machine: build, up, status, down")


def run() -> None:
    """Read the command line and do what it says."""
    write_anything()
    with refused.told():
        app(prog_name="otel-tts")


if __name__ == "__main__":
    run()

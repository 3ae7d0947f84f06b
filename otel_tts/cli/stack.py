# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts stack`: the backends on this machine, without containers."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from otel_tts.cli.output import explained, fail, print_json, say, stdout
from otel_tts.commands import suggest
from otel_tts.stack import build as builds
from otel_tts.stack import ports, servers
from otel_tts.stack.progress import Terminal
from otel_tts.stack.run import Stack, Status
from otel_tts.trouble import WrongUse

stack = typer.Typer(
    name="stack",
    help="The backends on this machine: Collector, Jaeger, VictoriaLogs, Prometheus, Alertmanager; no containers.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Where data, logs and process files are kept.",
        show_default="~/.local/state/otel-tts",
    ),
]


@stack.command()
def build() -> None:
    """Build the servers from their Go modules, those that are not built yet.

    Needs Go and, for Go's caches, 10 GB of disk; how long it takes is said first. It can be broken off and run again.
    Built servers are kept in ~/.cache/otel-tts (OTEL_TTS_CACHE_DIR).
    """
    console = stdout()
    with _explained(), Terminal(console) as progress:
        wanted = builds.missing()
        folders = builds.build(progress)
    if not wanted:
        console.print("All servers are built already.")
    for server in servers.SERVERS:
        seconds = builds.took(folders[server.name])
        built = f"built in {seconds} s, " if seconds is not None else ""
        _say(console, f"  {server.title} {server.version}: {built}{folders[server.name]}")


@stack.command()
def up(
    state: StateOption = None,
    port: Annotated[
        list[str] | None,
        typer.Option(
            "--port", metavar="NAME=NUMBER", help="Another port than the default; repeatable. `status` shows the names."
        ),
    ] = None,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Take ports that are free, none of the defaults.")
    ] = False,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            metavar="URL",
            help="Where Alertmanager sends alerts.",
            show_default="port 9099 of this machine",
        ),
    ] = None,
) -> None:
    """Start the servers and wait until all are ready; build first what is not built.

    They run on after this command and listen on this machine only. Doing it again starts what does not run.

    **What is kept.** What the Collector has accepted is on disk and arrives, whatever is down or killed: no trace and
    no metric is lost. VictoriaLogs answers before its data is on disk: *killed*, it loses the records of about two
    seconds; archive/logs.jsonl in the state folder has them. Prometheus refuses a whole request for one bad metric in
    it, so leave OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE at cumulative. Traces and log records are kept for 7
    days, metrics for 90 days or 10 GB.
    """
    console = stdout()
    stack = Stack(state)
    with _explained():
        if free_ports and port:
            raise WrongUse("--free-ports and --port exclude each other.")
        chosen = ports.free() if free_ports else ports.parse(port) if port else None
        with Terminal(console) as progress:
            started = stack.up(chosen, webhook, progress)
    _say(
        console, f"Started {', '.join(server.title for server in started)}." if started else "All servers run already."
    )
    _show(console, stack.status())
    _say_next(console, stack, state)


@stack.command()
def status(
    state: StateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show how each server is. Exit status 0 when all are ready, 1 otherwise."""
    stack = Stack(state)
    found = stack.status()
    if as_json:
        print_json({"state": str(stack.state), "servers": [_plain(one) for one in found]})
    else:
        console = stdout()
        _show(console, found)
        _say(console, f"State folder: {stack.state}")
    if not all(one.ready for one in found):
        raise typer.Exit(1)


@stack.command()
def down(state: StateOption = None) -> None:
    """Stop the servers. Their data stays in the state folder."""
    console = stdout()
    stack = Stack(state)
    with _explained(), Terminal(console) as progress:
        stopped = stack.down(progress=progress)
    if not stopped:
        _say(console, f"No server of {stack.state} runs.")


@contextmanager
def _explained() -> Generator[None]:
    """Turn a `Trouble` or a full disk into its message and exit status; after an interrupt, say how to go on."""
    try:
        with explained():
            yield
    except OSError as failure:
        raise fail(
            f"{failure.filename or 'The state folder'} cannot be written: {failure.strerror}. Make room there, or give"
            " a folder of yours with --state DIR."
        ) from None
    except KeyboardInterrupt:
        say("Broken off. Run the same command again to go on.")
        raise typer.Exit(130) from None


def _show(console: Console, found: list[Status]) -> None:
    wide = console.width >= 110
    table = Table(box=None, pad_edge=False)
    for heading in ("server", "state", "pid", "port", "address", *(["for"] if wide else [])):
        table.add_column(heading, no_wrap=True)
    for one in found:
        first = [one.server.name, _state(one), str(one.pid or "")]
        for port in one.server.ports:
            table.add_row(*first, port.name, one.addresses[port.name], *([port.role] if wide else []))
            first = ["", "", ""]
    console.print(table)


def _state(one: Status) -> str:
    if one.ready:
        return "[green]ready"
    return "[yellow]not ready" if one.running else "[red]not running"


def _say_next(console: Console, stack: Stack, state: Path | None) -> None:
    endpoint = stack.url("otlp_http")
    where = f" --state {shlex.quote(str(state))}" if state else ""
    lines = (
        "What next:",
        f"  export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "                             in the shell of the service that speaks",
        f"  {suggest('demo --endpoint')} {endpoint}",
        "                             sends what such a service would",
        f"  {suggest('stack down')}{where}",
        "                             stops the servers; data stays in " + str(stack.state),
    )
    for line in lines:
        _say(console, line)


def _plain(one: Status) -> dict[str, object]:
    return {
        "name": one.server.name,
        "title": one.server.title,
        "version": one.version,
        "running": one.running,
        "ready": one.ready,
        "pid": one.pid,
        "addresses": dict(one.addresses),
        "log": str(one.log),
    }


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

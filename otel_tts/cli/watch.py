# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts watch`: watches a service, and heals it where it is told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from otel_tts.cli import output


def watch(
    config: Annotated[Path, typer.Argument(metavar="FILE", help="What to watch, and what to do: TOML or JSON.")],
    act: Annotated[
        bool, typer.Option("--act", help="Act. Without it is only said, and written down, what would be done.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Read the file, say what is wrong with it, and end.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Close the breaker, after you have looked at what did not help, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what it sees and does as JSON, a line each.")] = False,
) -> None:
    """Watch a service: its page, a canary, its open stages, its memory and that of its devices; restart it at last.

    It acts on two different signals that last, never while an open stage makes progress, and so often only. What it
    sees and does is written to audit.jsonl in the folder of its state.

    Exit status: 0 when it was told to end, 1 where another watcher is at work, 2 for a file that cannot be meant, or
    that others may write.
    """
    from otel_tts.watching import start

    with output.explained():
        if check or reset:
            _, books = start.read(config)
            _say_state(books.reset() if reset else books.why_open(), reset)
            return
        start.run(config, act, _print_json if as_json else _print)


def _say_state(why: str, reset: bool) -> None:
    if reset:
        output.say(f"The breaker was open ({why}) and is closed now." if why else "The breaker was closed already.")
    else:
        output.say(f"The file is well. The breaker is open: {why}" if why else "The file is well.")


def _print_json(line: dict[str, Any]) -> None:
    typer.echo(json.dumps(line))


def _print(line: dict[str, Any]) -> None:
    facts = " ".join(f"{key}={_text(value)}" for key, value in line.items() if key not in ("at", "event"))
    typer.echo(f"{line['at']} {line['event']} {facts}".rstrip())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return json.dumps(value)

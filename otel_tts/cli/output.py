# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How commands speak: results on stdout, troubles on stderr in plain words, exit 1 for them and 2 for wrong use."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console

from otel_tts.cli.encoding import stdout_is_utf8
from otel_tts.trouble import Trouble, WrongUse

_WIDTH_OF_A_PIPE: Final = 160


def stdout() -> Console:
    """A console for results. Made anew, so that a redirected stdout is the one that is used.

    A pipe or file has no width; 80 characters, which rich would take, break every table.
    """
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_PIPE
    return console


def stderr() -> Console:
    """A console for everything that is not a result."""
    return Console(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print `value` as one JSON document on stdout. A number that JSON cannot hold is an error, not a NaN."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not stdout_is_utf8(), allow_nan=False))


def say(message: str) -> None:
    """Tell the person something that is not a result."""
    stderr().print(message, markup=False, soft_wrap=True)


def fail(message: str) -> typer.Exit:
    """Print `message`, which says what happened, why and what to do; the result is to be raised."""
    say(message)
    return typer.Exit(1)


@contextmanager
def explained(*others: type[Exception]) -> Generator[None]:
    """Turn a `Trouble` into its message and exit status, 2 for wrong use; `others` are troubles too."""
    try:
        yield
    except (Trouble, *others) as trouble:
        say(str(trouble))
        raise typer.Exit(2 if isinstance(trouble, WrongUse) else 1) from None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The commands by their names, each imported when it is asked for: who finds a request waits for nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.main import get_group

SAID: Final = {
    "run": "start a service under otel-tts: otel-tts run -- uvicorn app:app",
    "demo": "speak a few sentences, and show what is seen of them",
    "doctor": "is everything here, and does telemetry arrive? what to do if not",
    "find": "where a request's time went and why, by its id or by its kind",
    "status": "how a request ended, asked of the running service by its id",
    "view": "requests in a browser, as a file, or for Perfetto",
    "watch": "try a service, tell why it does not speak, and act if it may",
    "relay": "alerts to people: the last failing lines, the slowest request",
    "archive": "day files of log records to object storage, verified",
    "report": "a month for who pays for it, as a page and as PDF",
    "engines": "the known speech engines, and whether they fit what is installed",
    "settings": "every setting, its value here and what it means",
    "voice": "the hash by which a recording's voice goes in telemetry",
    "stack": "the servers on this machine: build, up, status, down",
}
"""What `otel-tts --help` says of each: a line, so that all of them fit on a screen."""


class LateCommands(Mapping[str, Any]):
    """Each command is the function, or the application, of its own name in the module of that name in this folder."""

    def __iter__(self) -> Iterator[str]:
        return iter(SAID)

    def __len__(self) -> int:
        return len(SAID)

    def __contains__(self, name: object) -> bool:
        return name in SAID

    def __getitem__(self, name: str) -> Any:
        """The command, made anew. Raises KeyError for what is none."""
        said = SAID[name]
        module = import_module(f"otel_tts.cli.{name}")
        what, alone = getattr(module, name), typer.Typer(rich_markup_mode="markdown")
        if isinstance(what, typer.Typer):
            alone.add_typer(what, name=name, short_help=said)
        else:
            alone.command(name, short_help=said, **getattr(module, "OPTIONS", {}))(what)
        return get_group(alone).commands[name]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The Go that builds the servers: is it there, is it new enough, for which platform."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from otel_tts.trouble import Trouble

# Modules as committed (go.sum is verified, nothing is added), no C compiler, no switch to another Go behind our back,
# and nothing of the user's that would change what is built.
_SETTINGS: Mapping[str, str] = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
_FOREIGN = ("GOOS", "GOARCH", "GOEXPERIMENT", "GOBIN")

FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")


@dataclass(frozen=True)
class Go:
    """An installed Go: path of the command, version as in `go1.26.5`, platform as in `linux/amd64`."""

    command: str
    version: str
    platform: str


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which Go builds."""
    return {name: value for name, value in environ.items() if name not in _FOREIGN} | dict(_SETTINGS)


def needed(modules: Iterable[Path]) -> str:
    """The newest Go that one of these go.mod files asks for, as in `1.26.5`."""
    asked = [match[1] for path in modules if (match := re.search(r"(?m)^go (\S+)$", path.read_text(encoding="utf-8")))]
    return max(asked, key=_numbers)


def find(minimum: str) -> Go:
    """The Go on PATH. Raises Trouble, saying how to get one, when it is missing or older than `minimum`."""
    command = shutil.which("go")
    if command is None:
        raise Trouble(
            f"Go is not installed, or not on PATH. The servers are built from their Go modules, with Go {minimum} or"
            f" newer.\n{_how_to_get(minimum)}"
        )
    asked = [command, "env", "GOVERSION", "GOOS", "GOARCH"]
    # Outside of any module: a go.mod that wants a newer Go would make even this fail.
    answer = subprocess.run(
        asked, capture_output=True, text=True, env=environment(), cwd=tempfile.gettempdir(), check=False
    )
    if answer.returncode != 0:
        raise Trouble(f"{command} does not work: {answer.stderr.strip()}\n{_how_to_get(minimum)}")
    version, system, machine = answer.stdout.split()
    if (numbers := _numbers(version)) and numbers < _numbers(minimum):
        raise Trouble(
            f"{command} is {version}, but the servers' modules need Go {minimum} or newer.\n{_how_to_get(minimum)}"
        )
    return Go(command, version, f"{system}/{machine}")


def _how_to_get(minimum: str) -> str:
    return (
        f"Get it from https://go.dev/dl/ (unpack it and put its bin folder on PATH), or with a Go from 1.21 on:"
        f" `go install golang.org/dl/go{minimum}@latest && go{minimum} download`, then put"
        f" ~/sdk/go{minimum}/bin first on PATH.\nWith Docker no Go is needed: see docs/stack.md."
    )


def _numbers(version: str) -> tuple[int, ...]:
    """`go1.26.5` as (1, 26, 5); empty for a development version, which counts as new enough."""
    match = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in match.groups()) if match else ()

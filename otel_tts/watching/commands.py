# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of actions: lists of words from the watcher's file, run without a shell, with nothing added to them."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from otel_tts.own_files import changeable_by_others

_is_name: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@_.:/-]{0,252}").fullmatch
_GRACE_S: Final = 5.0
"""Seconds between SIGTERM and SIGKILL for a command that took too long."""


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit status, None where it took too long or could not be begun, then `reason`."""

    status: int | None
    seconds: float
    reason: str = ""

    @property
    def well(self) -> bool:
        return self.status == 0


def of(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the command that a table asks for, in one of the ways of `_WAYS` or as `command`. Raises ValueError."""
    ways = said.keys() & (_WAYS.keys() | {"command"})
    if len(ways) != 1:
        raise ValueError(f"takes one of command, {', '.join(_WAYS)}")
    (way,) = ways
    if unknown := said.keys() - {way, *_MORE.get(way, ())}:
        raise ValueError(f"has {', '.join(sorted(unknown))}, which goes not with {way}")
    if way == "command":
        words: Any = said[way]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):  # pyright: ignore[reportUnknownVariableType]
            raise ValueError('.command must be a list of words, as in ["systemctl", "restart", "tts.service"]')
        return tuple(words)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for value in said.values():
        if not isinstance(value, bool) and not (isinstance(value, str) and _is_name(value)):
            raise ValueError(f".{way} must be names of letters, digits and @ _ . : / -, which do not begin with one")
    return tuple(_WAYS[way](said))


def _systemd(said: Mapping[str, Any]) -> list[str]:
    return ["systemctl", *(["--user"] if said.get("user") else []), "restart", said["systemd"]]


def _docker(said: Mapping[str, Any]) -> list[str]:
    return ["docker", "restart", said["docker"]]


def _kubectl(said: Mapping[str, Any]) -> list[str]:
    place = ["--namespace", said["namespace"]] if "namespace" in said else []
    return ["kubectl", "rollout", "restart", *place, said["kubectl"]]


def _nvidia_smi(said: Mapping[str, Any]) -> list[str]:
    return ["nvidia-smi", "--gpu-reset", "--id", said["nvidia_smi"]]


_WAYS: Final[dict[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "systemd": _systemd, "docker": _docker, "kubectl": _kubectl, "nvidia_smi": _nvidia_smi,
}  # fmt: skip
_MORE: Final = {"systemd": ("user",), "kubectl": ("namespace",)}


def not_to_be_run(command: Sequence[str]) -> str | None:
    """Return why this command is not run: nothing is there, or others may write it; None where it may be.

    What stands after it and is a file counts too: it may be the script that a shell or a Python is to run.
    """
    if (program := shutil.which(command[0])) is None:
        return f"{command[0]} is not there, or no program"
    files = [program, *(word for word in command[1:] if os.path.isabs(word) and os.path.isfile(word))]
    return next((reason for file in files if (reason := changeable_by_others(Path(file))) is not None), None)


def run(command: Sequence[str], timeout_s: float) -> Ran:
    """Run it to its end, or for `timeout_s`: then it is ended, with all that it has begun. Never raises OSError.

    What it prints is not kept: it may be the service's own words.
    """
    began = time.monotonic()
    if (reason := not_to_be_run(command)) is not None:  # it may have been changed since the start
        return Ran(None, 0.0, reason)
    try:
        process = _begin(command, subprocess.DEVNULL)
    except OSError as error:
        return Ran(None, 0.0, f"it cannot be begun: {error.strerror}")
    try:
        return Ran(process.wait(timeout_s), time.monotonic() - began)
    except subprocess.TimeoutExpired:
        end(process)
        return Ran(None, time.monotonic() - began, f"it took longer than {timeout_s:g} s and was ended")


def _begin(command: Sequence[str], stdout: int, more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL, start_new_session=True,
        close_fds=True, cwd="/", env={**os.environ, **(more or {})},
    )  # fmt: skip


def read_output(command: Sequence[str], more: Mapping[str, str], timeout_s: float, most: int) -> tuple[Ran, bytes]:
    """As `run`, and return its stdout; one that says more than `most` bytes is ended. `more`: for its environment."""
    began = time.monotonic()
    if (reason := not_to_be_run(command)) is not None:
        return Ran(None, 0.0, reason), b""
    try:
        process = _begin(command, subprocess.PIPE, more)
    except OSError as error:
        return Ran(None, 0.0, f"it cannot be begun: {error.strerror}"), b""
    said = _read(process, began + timeout_s, most)
    if said is not None:
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(max(0.1, began + timeout_s - time.monotonic()))
            return Ran(status, time.monotonic() - began), said
    end(process)
    return Ran(
        None, time.monotonic() - began, f"it took longer than {timeout_s:g} s, or said too much, and was ended"
    ), b""


def _read(process: subprocess.Popen[bytes], until: float, most: int) -> bytes | None:
    assert process.stdout is not None
    said = bytearray()
    with process.stdout as pipe:
        while len(said) <= most:
            if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                return bytes(said)
            said += piece
    return None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)

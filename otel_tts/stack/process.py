# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One server as a process: started detached, found again by its file, never mistaken for another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_LOG_LIMIT = 50 * 1024 * 1024  # bytes

# The system's clock may be set while a server runs, which moves what psutil computes from the boot time a little.
_START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Process:
    """What a process file says: enough to tell this process from a later one with the same number."""

    pid: int
    started: float  # seconds since the epoch, by the system's account
    executable: str
    version: str


def start(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, version: str) -> Process:
    """Start a server that outlives us, writing into `log`. Raises OSError when it cannot be executed."""
    _make_room(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # It is meant to run on after us: without this Popen would warn of a process that was not waited for.
    child.returncode = 0
    return Process(child.pid, psutil.Process(child.pid).create_time(), command[0], version)


def find(process: Process | None) -> psutil.Process | None:
    """The running process that this is about, or None when it ended, whoever may have its number now."""
    if process is None:
        return None
    try:
        found = psutil.Process(process.pid)
        if abs(found.create_time() - process.started) > _START_TOLERANCE_S:
            return None
        if found.status() == psutil.STATUS_ZOMBIE:
            _reap(process.pid)
            return None
        return found if found.exe() == os.path.realpath(process.executable) else None
    except psutil.AccessDenied:
        return None  # another user's: not started by us
    except psutil.NoSuchProcess:
        return None


def end(process: Process | None, how: signal.Signals) -> psutil.Process | None:
    """Send a signal; return the process to wait for, or None when it is not running."""
    found = find(process)
    if found is not None:
        try:
            found.send_signal(how)
        except psutil.NoSuchProcess:
            return None
    return found


def wait(found: psutil.Process, seconds: float) -> bool:
    """Wait until it ended; whether it did in time."""
    try:
        found.wait(seconds)
    except psutil.TimeoutExpired:
        return False
    return True


def save(path: Path, process: Process) -> None:
    """Write a process file, whole or not at all."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(process)) + "\n", encoding="utf-8")
    unfinished.replace(path)


def load(path: Path) -> Process | None:
    """Read a process file; None when there is none or it cannot be understood."""
    try:
        return Process(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log; none when it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _make_room(log: Path) -> None:
    """Begin a log anew when it has grown, keeping the one before."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # started by a command that ended: not ours to wait for

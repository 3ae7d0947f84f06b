# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo service as a process of its own, started through the real launcher."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from otel_tts.trouble import Trouble

APP: Final = "otel_tts.demo.service:app"
HOST: Final = "127.0.0.1"
READY_WITHIN_S: Final = 90.0  # a first import on a slow disk takes tens of them
ENDED_WITHIN_S: Final = 30.0
_TAIL: Final = 15  # lines of the log shown when something went wrong


@contextmanager
def serve(environ: Mapping[str, str], log: Path) -> Generator[str]:
    """Run the service while the block runs and yield its base URL; its output goes to `log`.

    On the way out it is asked to end (SIGTERM) and given time to send its last telemetry. Raises Trouble when it
    does not get ready, does not end, or ends with an error.
    """
    port = _free_port()
    with _ended_by_sigterm(), log.open("wb") as output:
        process = subprocess.Popen(
            command(port), env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            _wait_until_ready(process, port, log)
            yield f"http://{HOST}:{port}"
            _check_still_there(process, log)
        except BaseException:
            _end(process)
            raise
        code = _end(process)
    if code is None:
        raise Trouble(f"The service did not end within {ENDED_WITHIN_S:.0f} s of SIGTERM and was killed.\n{_tail(log)}")
    if code not in _GOOD_EXITS:
        raise Trouble(f"The service ended with status {code}.\n{_tail(log)}")


def command(port: int) -> list[str]:
    """What a person would type as `otel-tts run -- uvicorn …`, without need of an activated environment."""
    python = [sys.executable, "-m"]
    launcher = [*python, "otel_tts.cli.main", "run", "--"]
    return [*launcher, *python, "uvicorn", APP, "--host", HOST, "--port", str(port)]


# uvicorn ends in good order, then lets the signal have its usual effect.
_GOOD_EXITS: Final = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    # By connecting, not by GET /health: that would be the first request in everyone's telemetry.
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        _check_still_there(process, log)
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
            return
        time.sleep(0.1)
    raise Trouble(f"The service was not ready within {READY_WITHIN_S:.0f} s.\n{_tail(log)}")


def _check_still_there(process: subprocess.Popen[bytes], log: Path) -> None:
    code = process.poll()
    if code is not None:
        raise Trouble(f"The service ended by itself with status {code}.\n{_tail(log)}")


def _end(process: subprocess.Popen[bytes]) -> int | None:
    """Return its exit status, or None when it had to be killed."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
    except KeyboardInterrupt:  # a second Ctrl-C: do not wait for it, but do not leave it behind either
        process.kill()
        process.wait()
        raise


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    """Let SIGTERM unwind this process, so that it does not leave the service behind."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return os.linesep.join([f"The end of {log}:", *(f"  {line}" for line in lines[-_TAIL:])])

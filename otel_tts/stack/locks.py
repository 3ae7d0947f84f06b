# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One at a time, across processes: a lock on a file, freed by the system when its holder ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from otel_tts.trouble import Trouble


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock `path`. `waiting` is called once when another process has it."""
    if sys.platform == "win32":
        raise Trouble("The native stack runs on Linux and macOS. On Windows use the containers: see docs/stack.md.")
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

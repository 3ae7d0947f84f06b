# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One process at a time for a folder: a lock on a file in it, which the system frees however its holder ends."""

from __future__ import annotations

import os
from pathlib import Path

from otel_tts.trouble import Trouble


def hold(path: Path, what: str) -> int:
    """Be the only one that holds `path` until this process ends, or what is returned is closed.

    `what` is doing so, as in `watcher`. Raises Trouble where another process is at it, OSError where no file can be.
    """
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 20).decode("ascii", "replace").strip()
        os.close(handle)
        raise Trouble(f"Another {what} (process {owner or 'unknown'}) is at work in {path.parent}.") from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle

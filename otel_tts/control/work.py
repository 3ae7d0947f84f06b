# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""CPU time of the threads of this process, and of its children: who computes is not still, wherever he stands.

Read from /proc. A clock of the thread's own would be finer, and asking for that of a thread that has ended may crash.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

import psutil

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def natives() -> Mapping[int, int]:
    """Return the system's number of each thread that Python knows, by its identity."""
    return {t.ident: t.native_id for t in threading.enumerate() if t.ident is not None and t.native_id is not None}


def cpu_of_thread(native: int) -> int | None:
    """Return the nanoseconds of CPU that a thread has used; None where it is not there."""
    try:
        with open(f"/proc/self/task/{native}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_NS
    except (OSError, ValueError, IndexError):
        return None


def cpu_of_children() -> int:
    """Return the nanoseconds of CPU that the children of this process, and theirs, have used while they are there."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return int(total * 1e9)

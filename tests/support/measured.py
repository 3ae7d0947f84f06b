# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How long commands take and how much memory they have, on a machine that does other work too."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

# Between: a child's peak of memory begins with that of whoever forked it, and a test run is large. To a file: grep that
# writes to /dev/null ends with the first line that it finds. The time in which it could have run and others did is told
# by Linux as long as nobody has asked how it ended.
_MEASURE = """
import os, subprocess, sys, tempfile, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=tempfile.TemporaryFile())
os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
wall = time.monotonic() - began
waited = int(open(f"/proc/{process.pid}/schedstat").read().split()[1]) / 1e9
_, status, usage = os.wait4(process.pid, 0)
print(wall - waited, usage.ru_maxrss / 1024)
process.returncode = os.waitstatus_to_exitcode(status)
sys.exit(process.returncode)
"""


def measure(command: Sequence[str], environ: Mapping[str, str] = os.environ) -> tuple[float, float]:
    """Return the seconds of a command, without those in which others had the processors, and its peak in MiB."""
    measured = [sys.executable, "-c", _MEASURE, *command]
    told = subprocess.run(measured, check=True, capture_output=True, text=True, env=dict(environ)).stdout
    seconds, memory = map(float, told.split())
    return seconds, memory


def in_turns(*commands: Sequence[str], environ: Mapping[str, str] = os.environ) -> list[float]:
    """Of each command the median of five, in seconds, taken in turns: all under the same load."""
    took = [[measure(command, environ)[0] for command in commands] for _ in range(5)]
    return [statistics.median(of_one) for of_one in zip(*took, strict=True)]

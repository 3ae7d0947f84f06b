# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every limit that boards, alerts, objectives and docs speak of, each once.

Those on quantiles are edges of the histograms' buckets (`names.DURATION_EDGES`, `names.RTF_EDGES`): only there is a
quantile exact. Times in seconds, shares from 0 to 1.
"""

from __future__ import annotations

from typing import Final

SLOW: Final = 3.0
"""A request, or its acoustic model, that takes longer is slow."""
VERY_SLOW: Final = 10.0
PROMPT: Final = 2.0
"""A request that takes no longer is prompt: the business asks for the share of these."""
LATE: Final = 1.0
"""The first sound is heard later than this: late."""
VERY_LATE: Final = 3.0
WAITED: Final = 1.0
"""Somebody waited longer than this for a worker or a lock."""
NEAR_REAL_TIME: Final = 0.7
REAL_TIME: Final = 1.0
"""From here on it computes slower than it speaks."""
STUTTER: Final = 0.1
"""A stream's player ran out of sound for longer than this."""
OLD: Final = 20.0
STUCK: Final = 60.0
"""A stage that is open for longer hangs."""
LOOP_LAG: Final = 1.0
"""The event loop did nothing else for so long."""

SOME_FAILED: Final = 0.01
FAILED: Final = 0.05
FAILED_TIMES: Final = 3.0
"""So many times the share of the hour before."""
FEWEST_FAILURES: Final = 3
"""Fewer in five minutes wake nobody: one failure in a quiet hour is a high share."""
SILENT: Final = 0.01
LIMITED: Final = 0.01
SLOWER_TIMES: Final = 2.0
"""So many times the quantile of the hour before."""
FEWEST_REQUESTS: Final = 20
"""Fewer in five minutes make no quantile."""
QUEUE_LONG: Final = 5.0
"""Requests under way that make a growing queue worth a look."""

GPU_WARM: Final = 0.85
GPU_FULL: Final = 0.95
GPU_GROWTH: Final = 0.02
"""Growth of the memory's floor within an hour, as a share of the device's memory, that is not noise."""
PROCESS_GROWTH: Final = 0.10
"""The same of a process, as a share of what it held an hour before."""
HOT: Final = 80.0
"""Degrees Celsius."""
VERY_HOT: Final = 90.0

ARCHIVE_LATE: Final = 3 * 86400.0
"""Seconds that log records may wait for the archive: a day until theirs is over, and two runs that fail."""

QUEUE_FULL: Final = 0.8
"""How full a queue of the Collector may be before somebody should look."""


def percent(share: float) -> str:
    """A share as it is read."""
    return f"{100 * share:g} %"

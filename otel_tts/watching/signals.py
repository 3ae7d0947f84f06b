# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The signals that something is wrong, and the causes that two of them together name.

One signal alone names nothing. The page and the canary are two ways to the same front, so they count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

PAGE: Final = "page"
CANARY: Final = "canary"
SLOW: Final = "slow"
STUCK: Final = "stuck"
FROZEN: Final = "frozen"
GONE: Final = "gone"
MEMORY: Final = "memory"
MEMORY_RISES: Final = "memory_rises"
GPU: Final = "gpu_memory"
GPU_RISES: Final = "gpu_memory_rises"
FALLBACK: Final = "fallback"

SIGNALS: Final[dict[str, str]] = {
    PAGE: "the page does not answer, or with an error of the server",
    CANARY: "the canary got no audio, or wrong audio",
    SLOW: "the canary takes three times as long as it usually does",
    STUCK: "an open stage has not moved for stages.stuck_after_s",
    FROZEN: "a process takes questions at its control socket, answers none, and uses no CPU",
    GONE: "no process of the service is there",
    MEMORY: "the floor of the processes' memory is over memory.limit",
    MEMORY_RISES: "that floor has risen without a fall over memory.rise_s",
    GPU: "the floor of a device's memory is over gpu.limit",
    GPU_RISES: "that floor has risen without a fall over gpu.rise_s",
    FALLBACK: "the latest requests ran on the CPU after having run on a device",
}

EMPTY_CACHE: Final = "empty_cache"
RESTART: Final = "restart"
GPU_RESET: Final = "gpu_reset"

_FRONT: Final = frozenset({PAGE, CANARY})
_SPEECH: Final = frozenset({PAGE, CANARY, SLOW})


class Said(NamedTuple):
    """What a probe says of one signal at one look: whether it is bad, and in a few words of ours why."""

    bad: bool
    why: str = ""


@dataclass(frozen=True)
class Cause:
    """What `signal` together with one of `beside` names, and the steps against it, the mildest first."""

    name: str
    signal: str
    beside: frozenset[str]
    steps: tuple[str, ...]


CAUSES: Final = (
    Cause("death", GONE, _FRONT, (RESTART,)),
    Cause("hang", STUCK, _SPEECH, (RESTART,)),
    Cause("freeze", FROZEN, _FRONT, (RESTART,)),
    Cause("gpu_full", GPU, _SPEECH | {GPU_RISES, FALLBACK}, (EMPTY_CACHE, RESTART, GPU_RESET)),
    Cause("fallback", FALLBACK, _SPEECH, (EMPTY_CACHE, RESTART, GPU_RESET)),
    Cause("leak", MEMORY, _SPEECH | {MEMORY_RISES}, (RESTART,)),
)
"""In the order in which they are asked."""


def name_cause(lasting: frozenset[str]) -> Cause | None:
    """Return the first cause that two of the signals name; None where they name none."""
    return next((cause for cause in CAUSES if cause.signal in lasting and cause.beside & lasting), None)

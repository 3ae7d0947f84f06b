# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why an event loop stood still: its own code, garbage collection, another thread with the interpreter, or nobody."""

from __future__ import annotations

import collections
import gc
from collections.abc import Iterable
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from otel_tts.names import LoopCause

_LONG_NS: Final = 10_000_000
"""A collection shorter than this holds up no loop that anybody would notice."""
_MOST_KEPT: Final = 256


class Gap(NamedTuple):
    """The watcher's thread, which sleeps and no more, woke late: due at `began`, awake at `ended` (perf_counter_ns).

    `cpu` is the CPU time in ns that all threads of the process had meanwhile.
    """

    began: int
    ended: int
    cpu: int


class Collections:
    """The long garbage collections of this process: nothing else of Python runs in them."""

    def __init__(self) -> None:
        self.long: collections.deque[tuple[int, int]] = collections.deque(maxlen=_MOST_KEPT)
        self._began = 0

    def begin(self) -> None:
        """Be told of each collection from now on."""
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def end(self) -> None:
        """Be told no more."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = perf_counter_ns()
        elif (now := perf_counter_ns()) - self._began >= _LONG_NS:
            self.long.append((self._began, now))


def cause_of(began: int, ended: int, cpu: int, collections: Iterable[tuple[int, int]], gaps: Iterable[Gap]) -> str:
    """Say why a loop stood still from `began` to `ended` (perf_counter_ns); its own thread had `cpu` ns of CPU time.

    Where the watcher slept and woke in time, other threads could run: then it was what the loop itself ran. Where the
    watcher woke late as well nobody ran, or somebody held the interpreter, which its CPU time tells apart.
    """
    half = (ended - began) / 2
    if _covered(began, ended, collections) > half:
        return LoopCause.GC
    late = [gap for gap in gaps if gap.ended > began and gap.began < ended]
    still = _covered(began, ended, ((gap.began, gap.ended) for gap in late))
    if still <= half or cpu > half:
        return LoopCause.CODE
    return LoopCause.INTERPRETER if sum(gap.cpu for gap in late) > still / 2 else LoopCause.NOT_SCHEDULED


def _covered(began: int, ended: int, spans: Iterable[tuple[int, int]]) -> int:
    return sum(max(0, min(ended, last) - max(began, first)) for first, last in spans)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the open stages make progress, seen from outside of them: nothing is added to the request's path.

Three things tell. The request's own counts: stages that ended, chunks that left. Where the thread that opened the
stage stands in its code: a loop over tokens moves on, a thread that waits for a lock does not; one of an event loop
that waits for events says nothing about any stage. And CPU time, of that thread and of child processes: a loop may be
seen at the same place each time, and a long call stays at one. Who waits for a device by spinning computes, too.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final, NamedTuple

from otel_tts.control import work
from otel_tts.record import StageRecord
from otel_tts.recording.recorder import Recorder

_DEPTH: Final = 12
"""Frames of a thread that are compared, from the innermost on."""
_MOST: Final = 1000
"""Open stages that are told of, the oldest first."""
_COMPUTES: Final = 0.05
"""Share of a CPU from which on a thread, or the children together, compute."""
_LEAST_NS: Final = 1_000_000_000
_WAITING: Final = frozenset({"selectors.py", "base_events.py"})

Clock = Callable[[], int]
Counts = tuple[int, ...]
Position = tuple[object, ...] | None


@dataclass(frozen=True)
class OpenStage:
    """One open stage: its name, its age, and seconds since it was last seen to move.

    `quiet_s` goes by the request's counts alone, `still_s` by its thread's place and CPU time too.
    """

    stage: str
    age_s: float
    still_s: float
    quiet_s: float


class _Look(NamedTuple):
    """What one look at a stage saw; `at` and CPU times in ns."""

    at: int
    counts: Counts
    position: Position
    thread: int | None
    children: int

    def computes(self, before: _Look) -> bool:
        """Whether its thread, or a child process, has computed since."""
        least = _COMPUTES * (self.at - before.at)
        by_thread = self.thread is not None and before.thread is not None and self.thread - before.thread > least
        return by_thread or self.children - before.children > least


class _Seen:
    """What a stage looked like, and when that last changed."""

    def __init__(self, look: _Look) -> None:
        self.look = self._base = look
        self.still_since = self.quiet_since = look.at

    def compare(self, look: _Look) -> bool:
        """Take over the new look, and say whether it is another one."""
        before, self.look = self.look, look
        counted = look.counts != before.counts
        moved = counted or (look.position is not None and look.position != before.position) or self._computes(look)
        if counted:
            self.quiet_since = look.at
        if moved:
            self.still_since = look.at
        return moved

    def _computes(self, look: _Look) -> bool:
        """Whether it has computed in the last second or more: CPU time comes in ticks, of which a few say nothing."""
        base = self._base
        if look.at - base.at < _LEAST_NS:
            return False
        self._base = look
        return look.computes(base)


class Progress:
    """Looks at the open stages of `recorder` whenever it is asked, and remembers the last look."""

    def __init__(self, recorder: Recorder, now: Clock = time.perf_counter_ns) -> None:
        self._recorder, self._now = recorder, now
        self._seen: dict[tuple[int, int], _Seen] = {}
        self._moved: int | None = None

    def look(self) -> list[OpenStage]:
        """Return the open stages, the oldest first."""
        now, frames = self._now(), sys._current_frames()
        frames.pop(threading.get_ident(), None)  # where this one stands says nothing
        seen: dict[tuple[int, int], _Seen] = {}
        found: list[OpenStage] = []
        stages, threads = self._open(), work.natives()
        children = work.cpu_of_children() if stages else 0
        for stage in stages:
            key, native = (id(stage), stage.t0), threads.get(stage.thread)
            used = None if native is None else work.cpu_of_thread(native)
            look = _Look(now, _counts(stage), _position(frames.get(stage.thread)), used, children)
            known = self._seen.get(key)
            if known is None:  # nobody knows how it was before: it gets the benefit of the doubt
                known = _Seen(look)
            elif known.compare(look):
                self._moved = now
            seen[key] = known
            still, quiet = now - known.still_since, now - known.quiet_since
            found.append(OpenStage(stage.stage, (now - stage.t0) / 1e9, still / 1e9, quiet / 1e9))
        self._seen = seen
        return found

    def _open(self) -> list[StageRecord]:
        """The innermost open stage of each request: an outer one does not move while it waits for an inner one."""
        innermost = [s.stages.open[-1:] for s in list(self._recorder.open.values())]
        return sorted((stage for stages in innermost for stage in stages), key=lambda stage: stage.t0)[:_MOST]

    @property
    def moved_s(self) -> float | None:
        """Seconds since any stage was seen to move; None for never."""
        return None if self._moved is None else (self._now() - self._moved) / 1e9


def _counts(stage: StageRecord) -> Counts:
    synthesis = stage.root
    sound = synthesis.recording
    return synthesis.stages.count, synthesis.stages.segments, 0 if sound is None else sound.progress


def _position(frame: FrameType | None) -> Position:
    """Where a thread stands; None where it waits for events, or is gone."""
    if frame is None or frame.f_code.co_filename.rsplit("/", 1)[-1] in _WAITING:
        return None
    position: list[object] = []
    while frame is not None and len(position) < _DEPTH:
        position.append((frame.f_code.co_name, frame.f_code.co_firstlineno, frame.f_lasti))
        frame = frame.f_back
    return tuple(position)

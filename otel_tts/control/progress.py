# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the open stages make progress, seen from outside of them: nothing is added to the request's path.

Two things tell. The request's own counts: stages that ended, chunks that left. And where the thread that opened the
stage stands in its code: a loop over tokens moves on, a thread that waits for a lock or for a device does not. A thread
of an event loop that waits for events says nothing about any stage.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from otel_tts.record import StageRecord
from otel_tts.recording.recorder import Recorder

_DEPTH: Final = 12
"""Frames of a thread that are compared, from the innermost on."""
_MOST: Final = 1000
"""Open stages that are told of, the oldest first."""
_WAITING: Final = frozenset({"selectors.py", "base_events.py"})

Clock = Callable[[], int]
Counts = tuple[int, ...]
Position = tuple[object, ...] | None


@dataclass(frozen=True)
class OpenStage:
    """One open stage: its name, its age, and seconds since it was last seen to move.

    `quiet_s` goes by the request's counts alone, `still_s` by where its thread stands too.
    """

    stage: str
    age_s: float
    still_s: float
    quiet_s: float


class _Seen:
    """What a stage looked like, and when that last changed."""

    counts: Counts
    position: Position

    def __init__(self, counts: Counts, position: Position, now: int) -> None:
        self.counts, self.position, self.still_since, self.quiet_since = counts, position, now, now

    def compare(self, counts: Counts, position: Position, now: int) -> bool:
        """Take over the new look, and say whether it is another one."""
        moved = counts != self.counts or (position is not None and position != self.position)
        if counts != self.counts:
            self.quiet_since = now
        if moved:
            self.still_since = now
        self.counts, self.position = counts, position
        return moved


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
        for stage in self._open():
            key, counts, position = (id(stage), stage.t0), _counts(stage), _position(frames.get(stage.thread))
            known = self._seen.get(key)
            if known is None:  # nobody knows how it was before: it gets the benefit of the doubt
                known = _Seen(counts, position, now)
            elif known.compare(counts, position, now):
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

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of one synthesis: which are open, which are finished, what they took together."""

from __future__ import annotations

from typing import Any, Final

from otel_tts import names
from otel_tts.record import StageRecord
from otel_tts.recording import generation

_MAKERS: Final = (names.Stage.ACOUSTIC_MODEL, names.Stage.MODEL)


class Stages:
    """A synthesis's books of its stages. Any thread may open and close; times are perf_counter_ns or sums of them."""

    __slots__ = ("count", "finished", "folded", "open", "overlapping", "parts", "segments", "sums")

    open: list[StageRecord]
    finished: list[StageRecord]
    """Stages that have ended and are not yet emitted. Whoever removes one emits it."""
    folded: dict[str, StageRecord]
    """By name, the stage that further ones of its name are added to."""
    sums: dict[str, int]
    """Nanoseconds in each stage, nested and parallel repetitions of the same stage counted once."""
    parts: dict[tuple[str, str], int]
    """Nanoseconds of `sums` in stages that are parts of others, by the outer stage's name and their own."""
    overlapping: bool
    """Two stages, neither a part of the other, ran at the same time."""
    count: int
    """Stages that have ended."""
    segments: int
    """Repetitions of the stage that makes the audio."""

    def __init__(self) -> None:
        self.open, self.finished, self.folded, self.sums, self.parts = [], [], {}, {}, {}
        self.count = self.segments = 0
        self.overlapping = False

    def close(self, stage: StageRecord) -> None:
        """Take a finished stage: keep it as a span of its own up to the limit, fold it into one of its kind beyond."""
        synthesis: Any = stage.root
        ended = stage.t1 or stage.t0
        try:
            self.open.remove(stage)
        except ValueError:
            pass
        if synthesis.t1 is None:
            self._add_up(stage, ended)
            if not stage.nested and stage.stage in _MAKERS:
                self.segments += stage.count
            if stage.status is not None:
                synthesis.note_failure(stage)
        self.count += 1
        if (stage.fold or self.count > synthesis.recorder.max_stage_spans) and self._fold(stage, ended - stage.t0):
            return
        if synthesis.t1 is None:
            self.finished.append(stage)  # listed at its end: an open stage is never touched by others
            if synthesis.t1 is not None:
                synthesis.recorder.finish_late(synthesis, stage)
        else:
            synthesis.recorder.hold_late(stage)

    def _add_up(self, stage: StageRecord, ended: int) -> None:
        """Add to the sums what stages of this kind took together: nested and parallel ones count once."""
        stage.counted = True
        for other in self.open:
            if other.stage == stage.stage:
                other.since = min(other.since, stage.since)  # the last one to end adds them all
                return
            if other.nested is None and stage.nested is None:
                self.overlapping = True
        took = ended - stage.since
        self.sums[stage.stage] = self.sums.get(stage.stage, 0) + took
        if stage.nested is not None and stage.nested.stage != stage.stage:
            part = stage.nested.stage, stage.stage
            self.parts[part] = self.parts.get(part, 0) + took

    def _fold(self, stage: StageRecord, took: int) -> bool:
        """Add to the first folded stage of its kind that has not been emitted; False where `stage` is that first."""
        first = self.folded.get(stage.stage)
        if first is None or first.inside is None:  # pyright: ignore[reportUnnecessaryComparison]
            self.folded[stage.stage] = stage
            stage.attrs[names.STAGE_HOST_DURATION] = took / 1e9
            return False
        if stage.fold:  # shown where the last call was: one span over all of them would overlap what ran between
            first.t0 = stage.t0
        first.t1 = stage.t1
        first.count += stage.count
        first.attrs[names.STAGE_SEGMENTS] = first.count
        first.attrs[names.STAGE_HOST_DURATION] += took / 1e9
        if (ended := generation.of_stage(stage.attrs)) is not None:
            before = generation.of_stage(first.attrs)
            first.attrs |= generation.describe((ended,) if before is None else (before, ended))
        recorder = stage.root.recorder
        if recorder.clock is not None and (first.timing is not None or stage.timing is not None):
            recorder.clock.fold(first, stage, stage.fold)
        if recorder.memory is not None and stage.memory is not None:
            recorder.memory.fold(first, stage)
        stage.unlink()
        return True

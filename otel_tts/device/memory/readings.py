# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory per stage, from the caching allocator's statistics at its two ends.

On the request's path a stage costs two reads and a few numbers; what they mean is worked out later, off the path.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from otel_tts import names
from otel_tts.device.memory.leak import LeakWatch
from otel_tts.device.memory.out_of_memory import Failure, Failures
from otel_tts.device.memory.peaks import PeakWindow, PeakWindows
from otel_tts.device.torch.allocator import Allocator, Stats, is_out_of_memory
from otel_tts.guard import note_fault
from otel_tts.record import LateSpan, OpenRequests, StageRecord

MemoryEvent = tuple[dict[str, Any], int]
"""Attributes of a ``gpu.memory`` event and its time (perf_counter_ns)."""

_COUNTS: Final = (
    (names.MEMORY_DEVICE_ALLOCS, "num_device_alloc"),
    (names.MEMORY_DEVICE_FREES, "num_device_free"),
    (names.MEMORY_RETRIES, "num_alloc_retries"),
    (names.MEMORY_SYNCS, "num_sync_all_streams"),
    (names.MEMORY_OOMS, "num_ooms"),
)
_QUEUE: Final = names.Stage.QUEUE
_MOST_WHOLE: Final = 1500
"""Stages whose readings may wait as they are while no request is settled. A reading is some 20 KB, so beyond that they
are cut down on the path."""
_MOST_OPEN: Final = 1000
_KEPT: Final = ("allocated_bytes", "reserved_bytes", "active_bytes")


class MemoryReading(PeakWindow):
    """What a stage notes of one device between its ends; `other` is the next device's."""

    __slots__ = ("after", "alone", "at", "before", "began", "other", "overlaps", "shared", "windows")

    windows: PeakWindows
    other: MemoryReading | None
    before: Stats
    after: Stats | None
    alone: bool
    """No other request was open at the start."""
    shared: bool
    """Another request was open at some time in between."""
    overlaps: int
    began: int
    at: int

    @property
    def touched(self) -> bool:
        """Whether anything was asked of the allocator: the stage ran on the device."""
        after, before = self.after, self.before
        return after is not None and (
            after["allocated_bytes"]["all"]["allocated"] != before["allocated_bytes"]["all"]["allocated"]
            or after.get("num_ooms") != before.get("num_ooms")
        )

    def each(self) -> Iterator[MemoryReading]:
        """Yield the marks of all devices."""
        mark: MemoryReading | None = self
        while mark is not None:
            yield mark
            mark = mark.other


class StageMemory:
    """The process's allocator as stages see it. Made once CUDA is in use; forgotten in a forked child."""

    def __init__(self, allocator: Allocator, failures: Failures, requests: OpenRequests) -> None:
        self._allocator, self._failures, self._requests = allocator, failures, requests
        self._windows: dict[int, PeakWindows] = {}
        self._watched: tuple[PeakWindows, ...] = ()
        self._leaks: dict[int, LeakWatch] = {}
        self._failed: dict[int, MemoryEvent] = {}
        self._first: dict[int, MemoryReading] = {}
        self._settled = self._whole = 0
        self.look()

    def windows(self, device: int) -> PeakWindows | None:
        """Return the windows of a device that is watched."""
        return self._windows.get(device)

    def look(self) -> None:
        """Find the devices that hold memory now. Off the path, now and then."""
        for device in self._allocator.holding():
            if device not in self._windows:
                self._windows[device] = PeakWindows(self._allocator, device)
        self._watched = tuple(self._windows.values())

    # --- on the request's path ---------------------------------------------------------------------------------------

    def begin(self, stage: StageRecord) -> MemoryReading | None:
        """Note the memory at a stage's start; the result is kept as ``stage.memory``."""
        if stage.where == "cpu" or stage.stage == _QUEUE:
            return None
        try:
            mark = None
            for windows in self._watched:
                mark, other = MemoryReading(), mark
                mark.windows, mark.other, mark.after, mark.whole = windows, other, None, True
                mark.before = windows.edge(mark)
            if mark is not None:
                requests = self._requests
                mark.alone, mark.overlaps = len(requests.open) < 2, requests.overlaps
            return mark
        except Exception as error:
            note_fault("gpu.memory", error)
            return None

    def end(self, stage: StageRecord, mark: MemoryReading) -> None:
        """Note the memory at a stage's end."""
        try:
            each: MemoryReading | None = mark
            while each is not None:
                each.after = each.windows.edge(each)
                each = each.other
            mark.began, mark.at = stage.t0, stage.t1 or 0  # the host's: the clock may put the device's in their place
            mark.shared = not mark.alone or mark.overlaps != self._requests.overlaps
            self._whole += 1
            if self._whole > _MOST_WHOLE:
                _cut_down(mark)
        except Exception as error:
            note_fault("gpu.memory", error)

    def fold(self, first: StageRecord, stage: StageRecord) -> None:
        """Repetitions that share one span share one event: from the first one's start to the last one's end."""
        kept, later = first.memory, stage.memory
        if not isinstance(kept, MemoryReading) or not isinstance(later, MemoryReading) or later.after is None:
            return
        kept.at, kept.shared = later.at, kept.shared or later.shared
        for mine, its in itertools.product(kept.each(), later.each()):
            if mine.windows is its.windows:
                mine.after = its.after
                mine.peak, mine.whole = max(mine.peak, its.peak), mine.whole and its.whole

    # --- off the path ------------------------------------------------------------------------------------------------

    def settle_stage(self, stage: StageRecord, mark: MemoryReading, late: bool = False) -> list[MemoryEvent]:
        """Put the peak on the stage and on its synthesis; return the events."""
        if not late:
            self._note_first(stage, mark)
        events = [(self._describe(stage, mark, each), mark.at) for each in _on_device(stage, mark)]
        peaks = [peak for attributes, _ in events if (peak := attributes.get(names.MEMORY_PEAK)) is not None]
        for record in (stage, stage.root) if peaks else ():
            record.attrs[names.MEMORY_PEAK] = max(*peaks, record.attrs.get(names.MEMORY_PEAK, 0))
        if events and (uuid := events[0][0].get(names.HW_ID)) is not None:
            stage.attrs.setdefault(names.HW_ID, uuid)
        for event in events:
            if event[0].get(names.MEMORY_OOM) and not late and len(self._failed) < _MOST_OPEN:
                self._failed[id(stage.root)] = event
        return events

    def settle(self, synthesis: LateSpan) -> list[MemoryEvent]:
        """Count a finished request; return the event that says that it ended for want of memory."""
        self._settled += 1
        self._whole = 0
        self._feed_leaks(self._first.pop(id(synthesis), None), synthesis.attrs.get(names.MEMORY_PEAK))
        failed = self._failed.pop(id(synthesis), None)
        if failed is None and not is_out_of_memory(synthesis.attrs.get(names.ERROR_TYPE)):
            return []
        end = synthesis.t1 or synthesis.t0
        attributes, at = failed or (_of_failure(self._failures.between(synthesis.t0, end), self._allocator), end)
        peak = synthesis.attrs.get(names.MEMORY_PEAK)
        whole = {names.MEMORY_PEAK: peak} if peak is not None else {}
        return [({**attributes, **whole, names.MEMORY_OOM: True}, at)]

    def device_of(self, mark: MemoryReading) -> str | None:
        """Return the ``hw.id`` of the device that a stage worked on: one that it touched, else the first."""
        touched = next((each for each in mark.each() if each.touched), mark)
        return self._allocator.uuid(touched.windows.device)

    def leaks(self) -> Iterator[tuple[str, LeakWatch]]:
        """Yield what watches each device of which enough was seen."""
        for device, watch in list(self._leaks.items()):
            uuid = self._allocator.uuid(device)
            if watch.bytes_per_request is not None and uuid is not None:
                yield uuid, watch

    def _note_first(self, stage: StageRecord, mark: MemoryReading) -> None:
        """Keep a request's first mark: what was allocated then, with nothing else open, stays between requests."""
        first = self._first.get(id(stage.root))
        if (first is None and len(self._first) < _MOST_OPEN) or (first is not None and mark.began < first.began):
            self._first[id(stage.root)] = mark

    def _feed_leaks(self, first: MemoryReading | None, peak: int | None) -> None:
        for mark in first.each() if first is not None and first.alone else ():
            watch = self._leaks.setdefault(mark.windows.device, LeakWatch())
            allocated = mark.before["allocated_bytes"]["all"]["current"]
            watch.quiescent(allocated, self._settled, max(0, (peak or 0) - allocated))

    def _describe(self, stage: StageRecord, mark: MemoryReading, each: MemoryReading) -> dict[str, Any]:
        after, before = each.after or each.before, each.before
        allocated, reserved, active = (after[name]["all"]["current"] for name in _KEPT)
        found: dict[str, Any] = {names.MEMORY_ALLOCATED: allocated, names.MEMORY_RESERVED: reserved}
        if each.whole:
            found[names.MEMORY_PEAK] = each.peak
        changes = {
            names.MEMORY_ALLOCATED_DELTA: allocated - before["allocated_bytes"]["all"]["current"],
            names.MEMORY_RESERVED_DELTA: reserved - before["reserved_bytes"]["all"]["current"],
            # Not below zero: the application may reset the counts.
            **{name: max(0, after.get(count, 0) - before.get(count, 0)) for name, count in _COUNTS},
        }
        found |= {name: change for name, change in changes.items() if change}
        if reserved:
            found[names.MEMORY_SLACK_RATIO] = max(0.0, round((reserved - active) / reserved, 4))
        found[names.MEMORY_ATTRIBUTION] = "shared" if mark.shared else "exclusive"
        if (uuid := self._allocator.uuid(each.windows.device)) is not None:
            found[names.HW_ID] = uuid
        if is_out_of_memory(stage.attrs.get(names.ERROR_TYPE)):
            found[names.MEMORY_OOM] = True
            failure = self._failures.between(mark.began, mark.at)
            if failure is not None and failure.device == each.windows.device:
                found |= _of_failure(failure, None)
        return found


def _on_device(stage: StageRecord, mark: MemoryReading) -> list[MemoryReading]:
    """Return the marks of the devices that the stage ran on, as far as that can be told."""
    touched = [each for each in mark.each() if each.touched]
    if not touched and mark.after is not None and stage.attrs.get(names.TIMING_MODE) in ("events", "sync"):
        return [mark]
    return touched


def _of_failure(failure: Failure | None, allocator: Allocator | None) -> dict[str, Any]:
    if failure is None:
        return {}
    found: dict[str, Any] = {
        names.MEMORY_REQUESTED: failure.requested,
        names.MEMORY_DEVICE_FREE: failure.free,
        names.MEMORY_DEVICE_TOTAL: failure.total,
    }
    if allocator is not None and (uuid := allocator.uuid(failure.device)) is not None:
        found[names.HW_ID] = uuid
    return found


def _cut_down(mark: MemoryReading) -> None:
    for each in mark.each():
        each.before = _slice(each.before)
        each.after = _slice(each.after or {})


def _slice(stats: Stats) -> Stats:
    kept = {name: {"all": stats[name]["all"]} for name in _KEPT if name in stats}
    return kept | {count: stats[count] for _, count in _COUNTS if count in stats}

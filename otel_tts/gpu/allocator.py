# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory per stage, from the caching allocator's statistics at its two ends.

On the request's path a stage costs two reads and a few numbers; what they mean is worked out later, off the path.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from otel_tts import names
from otel_tts.gpu.devices import Allocator, Stats, is_out_of_memory
from otel_tts.gpu.leak import LeakWatch
from otel_tts.gpu.oom import Failure, Failures
from otel_tts.gpu.peaks import PeakWindows, Window
from otel_tts.guard import note_fault

if TYPE_CHECKING:
    from otel_tts.stage import Stage
    from otel_tts.synthesis import Synthesis

Levels = tuple[int, int, int, int, int, int, int, int, int]
"""Bytes allocated, reserved, active, allocated in all since the start; then the counts of `_COUNTS`."""
MemoryEvent = tuple[dict[str, Any], int]
"""Attributes of a ``gpu.memory`` event and its time (perf_counter_ns)."""

_COUNTS: Final = (
    names.MEMORY_DEVICE_ALLOCS,
    names.MEMORY_DEVICE_FREES,
    names.MEMORY_RETRIES,
    names.MEMORY_SYNCS,
    names.MEMORY_OOMS,
)
_VOLUME: Final = 3
_FIRST_COUNT: Final = 4
_OOMS: Final = 8
_MOST_FAILED: Final = 1000


def levels(stats: Stats) -> Levels:
    """Return the few numbers that are kept of the 135: a whole dictionary for each waiting stage would be 20 KB."""
    allocated, get = stats["allocated_bytes"]["all"], stats.get
    return (
        allocated["current"],
        stats["reserved_bytes"]["all"]["current"],
        stats["active_bytes"]["all"]["current"],
        allocated["allocated"],
        get("num_device_alloc", 0),
        get("num_device_free", 0),
        get("num_alloc_retries", 0),
        get("num_sync_all_streams", 0),
        get("num_ooms", 0),
    )


class Mark:
    """What a stage notes of one device between its ends; `other` is the next device's."""

    __slots__ = ("after", "at", "before", "began", "other", "overlaps", "shared", "window", "windows")

    after: Levels | None
    at: int

    def __init__(self, windows: PeakWindows, other: Mark | None) -> None:
        self.windows, self.other = windows, other
        self.window, stats = windows.enter()
        self.before = levels(stats)
        self.after = None
        self.shared, self.overlaps, self.began, self.at = False, 0, 0, 0

    @property
    def touched(self) -> bool:
        """Whether anything was asked of the allocator: the stage ran on the device."""
        after, before = self.after, self.before
        return after is not None and (after[_VOLUME] != before[_VOLUME] or after[_OOMS] != before[_OOMS])


class StageMemory:
    """The process's allocator as stages see it. Made once CUDA is in use; forgotten in a forked child."""

    def __init__(self, allocator: Allocator, failures: Failures) -> None:
        self._allocator, self._failures = allocator, failures
        self._windows: dict[int, PeakWindows] = {}
        self._watched: tuple[PeakWindows, ...] = ()
        self._leaks: dict[int, LeakWatch] = {}
        self._failed: dict[int, MemoryEvent] = {}
        self._quiet: list[tuple[int, int]] = []
        self._sampled = self._overlaps = -1
        self._requests = 0
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

    def begin(self, stage: Stage) -> Mark | None:
        """Note the memory at a stage's start; the result is kept as ``stage.memory``."""
        if stage.where == "cpu" or stage.stage == names.Stage.QUEUE:
            return None
        try:
            mark = None
            for windows in self._watched:
                mark = Mark(windows, mark)
            if mark is not None:
                root = stage.root
                kit = root.kit
                mark.shared, mark.overlaps = len(kit.open) > 1, kit.overlaps
                if root.t0 != self._sampled:
                    self._look_for_quiet(mark, root, stage.nested)
                mark.began = time.perf_counter_ns()
            return mark
        except Exception as error:
            note_fault("gpu.memory", error)
            return None

    def _look_for_quiet(self, mark: Mark, root: Synthesis, nested: bool) -> None:
        """Nothing else is open, and this request has not used the device yet: what is allocated now stays."""
        alone_so_far = mark.overlaps == self._overlaps or (root.stage_count == 0 and not nested)
        if not mark.shared and alone_so_far and len(self._quiet) < _MOST_FAILED:
            each: Mark | None = mark
            while each is not None:
                self._quiet.append((each.windows.device, each.before[0]))
                each = each.other
        self._sampled, self._overlaps = root.t0, mark.overlaps

    def end(self, stage: Stage, mark: Mark) -> None:
        """Note the memory at a stage's end."""
        try:
            first: Mark | None = mark
            while first is not None:
                first.after = levels(first.windows.exit(first.window))
                first = first.other
            mark.at = time.perf_counter_ns()
            root = stage.root
            if mark.overlaps != root.kit.overlaps:
                mark.shared = True
            if stage.fold or root.stage_count >= root.kit.max_stage_spans:
                _fold(root.folded.get(stage.stage), stage, mark)
        except Exception as error:
            note_fault("gpu.memory", error)

    # --- off the path ------------------------------------------------------------------------------------------------

    def settle_stage(self, stage: Stage, mark: Mark, late: bool = False) -> list[MemoryEvent]:
        """Put the peak on the stage and on its synthesis; return the events."""
        on_device = list(_on_device(stage, mark))
        events = [(self._describe(stage, mark, each), mark.at) for each in on_device]
        peaks = [peak for attributes, _ in events if (peak := attributes.get(names.MEMORY_PEAK)) is not None]
        for record in (stage, stage.root) if peaks else ():
            record.attrs[names.MEMORY_PEAK] = max(*peaks, record.attrs.get(names.MEMORY_PEAK, 0))
        if events and (uuid := events[0][0].get(names.HW_ID)) is not None:
            stage.attrs.setdefault(names.HW_ID, uuid)
        for event in events:
            if event[0].get(names.MEMORY_OOM) and not late and len(self._failed) < _MOST_FAILED:
                self._failed[id(stage.root)] = event
        return events

    def settle(self, synthesis: Synthesis) -> list[MemoryEvent]:
        """Count a finished request; return the event that says that it ended for want of memory."""
        self._requests += 1
        self._feed_leaks()
        failed = self._failed.pop(id(synthesis), None)
        if failed is None and not is_out_of_memory(synthesis.attrs.get(names.ERROR_TYPE)):
            return []
        end = synthesis.t1 or synthesis.t0
        attributes, at = failed or (_of_failure(self._failures.between(synthesis.t0, end), self._allocator), end)
        peak = synthesis.attrs.get(names.MEMORY_PEAK)
        whole = {names.MEMORY_PEAK: peak} if peak is not None else {}
        return [({**attributes, **whole, names.MEMORY_OOM: True}, at)]

    def device_of(self, mark: Mark) -> str | None:
        """Return the ``hw.id`` of the device that a stage worked on: one that it touched, else the first."""
        each: Mark | None = mark
        while each is not None and not each.touched:
            each = each.other
        return self._allocator.uuid((each or mark).windows.device)

    def leaks(self) -> Iterator[tuple[str, float]]:
        """Yield bytes a request for every device of which enough was seen."""
        for device, watch in list(self._leaks.items()):
            uuid = self._allocator.uuid(device)
            if watch.bytes_per_request is not None and uuid is not None:
                yield uuid, watch.bytes_per_request

    def _feed_leaks(self) -> None:
        quiet, self._quiet = self._quiet, []
        for device, allocated in quiet:
            self._leaks.setdefault(device, LeakWatch()).quiescent(allocated, self._requests)

    def _describe(self, stage: Stage, mark: Mark, each: Mark) -> dict[str, Any]:
        after, before = each.after or each.before, each.before
        allocated, reserved, active = after[:_VOLUME]
        found: dict[str, Any] = {names.MEMORY_ALLOCATED: allocated, names.MEMORY_RESERVED: reserved}
        if each.window.whole:
            found[names.MEMORY_PEAK] = each.window.peak
        changes = {
            names.MEMORY_ALLOCATED_DELTA: allocated - before[0],
            names.MEMORY_RESERVED_DELTA: reserved - before[1],
            **{name: after[i] - before[i] for i, name in enumerate(_COUNTS, _FIRST_COUNT)},
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


def _on_device(stage: Stage, mark: Mark) -> Iterator[Mark]:
    """Yield the marks of the devices that the stage ran on, as far as that can be told."""
    each: Mark | None = mark
    touched = False
    while each is not None:
        if each.touched:
            touched = True
            yield each
        each = each.other
    if not touched and mark.after is not None and stage.attrs.get(names.TIMING_MODE) in ("events", "sync"):
        yield mark


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


def _fold(first: Stage | None, stage: Stage, mark: Mark) -> None:
    """Repetitions that share one span share one event: from the first one's start to the last one's end."""
    kept = getattr(first, "memory", None)
    if first is None or first is stage or not isinstance(kept, Mark) or first.ctx is None:  # pyright: ignore[reportUnnecessaryComparison]
        return
    kept.at, kept.shared = mark.at, kept.shared or mark.shared
    later: Mark | None = mark
    while later is not None:
        each: Mark | None = kept
        while each is not None:
            if each.windows is later.windows:
                each.after = later.after
                _widen(each.window, later.window)
            each = each.other
        later = later.other


def _widen(window: Window, by: Window) -> None:
    window.peak = max(window.peak, by.peak)
    window.whole = window.whole and by.whole

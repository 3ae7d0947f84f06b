# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The events clock: two timing events a stage on the stage's own stream, read after the device has passed them.

Nothing waits for the device: recording queues, asking answers at once. A request's own last synchronisation (its
``.cpu()``) has usually passed all events when the request ends; what it has not passed is asked for again later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from otel_tts import names
from otel_tts.device.clocks import host
from otel_tts.device.clocks.clock import HOST
from otel_tts.device.clocks.device_clock import DeviceClock, DeviceClocks
from otel_tts.device.clocks.event_pool import EventPool, Exhausted
from otel_tts.device.clocks.steps import EventPair, Point, StageEvents, Step
from otel_tts.device.torch.backend import Backend, find
from otel_tts.device.torch.graphs import CaptureGuard, guard
from otel_tts.guard import note_fault
from otel_tts.record import StageRecord

_logger = logging.getLogger("otel_tts")

EVENTS: Final = "events"
_QUEUE: Final = names.Stage.QUEUE
SPIN_NS: Final = 20_000
"""ns that the end of a request polls at most: an event recorded after the ``.cpu()`` is passed some µs later."""
KEEP: Final = 16
"""Steps of a stage whose events are kept before the oldest are read while it still runs."""
MOST: Final = 512
"""Steps of a stage that may wait for the device."""


class Events:
    """Used as `Clock` of a recorder. `wanted`: the setting asked for it, so say once where there is no device."""

    def __init__(
        self,
        find: Callable[[], Backend | None] = find,
        now: Callable[[], int] = time.perf_counter_ns,
        guard: CaptureGuard = guard,
        wanted: bool = False,
    ) -> None:
        self._find, self._now, self._guard, self._tell = find, now, guard, wanted
        self._backend: Backend | None = None
        self._pool: EventPool
        self._clocks: DeviceClocks
        self._found = threading.RLock()
        self._abandoned: list[Any] = []
        self._adopted: int | None = None

    @property
    def mode(self) -> str:
        return HOST if self._backend is None else EVENTS

    # --- on the request's path ---------------------------------------------------------------------------------------

    def begin(self, stage: StageRecord) -> StageEvents | None:
        where = stage.where
        if where == "cpu" or stage.stage == _QUEUE:
            return None
        if self._backend is None and not self._look():
            return None
        marks = StageEvents(self._pool, None if where.__class__ is str else where)
        self._open(marks)
        return marks

    def end(self, stage: StageRecord) -> None:
        marks: StageEvents | None = stage.timing
        if marks is not None and marks.open is not None:
            self._shut(marks)

    pause = end

    def resume(self, stage: StageRecord) -> None:
        marks: StageEvents | None = stage.timing
        if marks is not None and marks.open is None and marks.status is None:
            self._open(marks)

    def _look(self) -> bool:
        """Take the application's device into use if it has one by now; say whether it has."""
        try:
            backend = self._find()
        except Exception as error:
            note_fault("clock", error)
            backend = None
        if backend is None:
            if self._tell:
                self._tell = False
                _logger.warning(
                    "otel-tts: OTEL_TTS_CLOCK asks for the device's clock, but torch has no device in use in this "
                    "process; stages are timed on the host's clock until it has"
                )
            return False
        with self._found:
            if self._backend is None:  # else another thread was faster
                self._pool = EventPool(backend)
                self._clocks = DeviceClocks(backend, self._pool, self._now)
                self._backend = backend  # last: other threads look at it first
        return True

    def _open(self, marks: StageEvents) -> None:
        backend: Any = self._backend
        step: list[EventPair] = []
        try:
            if self._guard.captures or backend.is_capturing():
                marks.status = host.CAPTURED
                return
            for stream in marks.streams or (backend.current_stream(),):
                marks.device = device = backend.device_of(stream)
                window = EventPair()
                window.stream, window.start, window.end = stream, None, None
                step.append(window)
                window.start = event = self._pool.take(device)
                window.started = started = self._now()
                window.start_epoch = self._clocks.epoch(device, stream, started)
                backend.record(event, stream)
            marks.open = step
        except Exception as error:
            self._blame(marks, error)
            self._lose(marks.pool, step)

    def _shut(self, marks: StageEvents) -> None:
        step, marks.open = marks.open, None
        if step is None:
            return
        backend: Any = self._backend
        try:
            if marks.pool is not self._pool or backend is None:
                marks.status = host.FORKED
            elif self._guard.captures or backend.is_capturing():
                marks.status = host.CAPTURED
            else:
                for window in step:
                    clock = window.start_epoch.clock
                    window.end_epoch = clock.epoch
                    window.end = event = self._pool.take(clock.device)
                    window.ended = self._now()
                    backend.record(event, window.stream)
                marks.steps.append(step)
        except Exception as error:
            self._blame(marks, error)
        if marks.status is not None:
            self._lose(marks.pool, step)
        elif len(marks.steps) > KEEP:
            self._read_some(marks)

    def _blame(self, marks: StageEvents, error: Exception) -> None:
        """Note an error: the runtime's own are the application's to handle, and reach it at its next call."""
        if isinstance(error, Exhausted):
            marks.status = host.OVERFLOW
            return
        marks.status = host.error_status(error)
        if not isinstance(error, RuntimeError):
            note_fault("clock", error)

    def passed(self, stages: Sequence[StageRecord]) -> bool:
        waiting = [mark for stage in stages if (mark := stage.timing) is not None and mark.waits()]
        if not waiting:
            return True
        if not self._guard.enter():
            return False
        try:
            until = self._now() + SPIN_NS
            for marks in reversed(waiting):  # the newest first: usually one answer decides
                while not self._has_passed(marks):
                    if self._now() >= until:
                        return False
                marks.done = self._now()
            self._calibrate(waiting[-1])
            return True
        finally:
            self._guard.leave()

    def _has_passed(self, marks: StageEvents) -> bool:
        if marks.pool is not self._pool:
            marks.status = host.FORKED
            return True
        try:
            newest = marks.steps[-1]
            if len(marks.steps) == 1 and len(newest) == 1:
                return _is_over(newest[0])
            asked: set[Any] = set()
            for step in reversed(marks.steps):
                for window in step:
                    if window.stream not in asked:
                        asked.add(window.stream)
                        if not _is_over(window):
                            return False
        except Exception as error:
            self._blame(marks, error)
        return True

    def _calibrate(self, marks: StageEvents) -> None:
        """The request's last stream is probably idle now: the best moment to learn about its device's clock."""
        if marks.status is not None:
            return
        try:
            self._clocks.calibrate(marks.steps[-1][-1].stream)
        except Exception as error:
            self._blame(marks, error)

    # --- many steps in one stage -------------------------------------------------------------------------------------

    def fold(self, first: StageRecord, stage: StageRecord, restart: bool) -> None:
        marks: StageEvents | None = first.timing
        more: StageEvents | None = stage.timing
        if marks is None or more is None or marks.settled:  # one of them ran where no device was
            for dropped in (marks, more):
                if dropped is not None:
                    self._drop(dropped)
            first.timing = None
            return
        if restart and more.steps:
            marks.restart = more.steps[0]
        marks.steps += more.steps
        marks.done, marks.status = None, marks.status or more.status
        if len(marks.steps) > KEEP:
            self._read_some(marks)

    def _read_some(self, marks: StageEvents) -> None:
        """Read the two oldest steps, which are passed long since where the device keeps up."""
        if len(marks.steps) > MOST:
            marks.status = host.OVERFLOW
            self._drop(marks)
            return
        if marks.status is not None or not self._guard.enter():
            return
        try:
            for _ in range(2):
                if not all(map(_is_over, marks.steps[0])):
                    return
                self._read(marks, marks.steps.pop(0), self._now())
        except Exception as error:
            self._blame(marks, error)
        finally:
            self._guard.leave()

    # --- off the request's path --------------------------------------------------------------------------------------

    def resolve(self, stages: Sequence[StageRecord], give_up: bool = False) -> bool:
        marked = [stage for stage in stages if stage.timing is not None and not stage.timing.settled]
        if not marked:
            return True
        if self._guard.enter():
            try:
                if not self._ask_again(marked):
                    if not give_up:
                        return False
                elif marked[-1].timing.steps:
                    self._calibrate(marked[-1].timing)
                for stage in marked:
                    self._read_all(stage.timing)
            finally:
                self._guard.leave()
        elif give_up:
            for stage in marked:
                stage.timing.status = stage.timing.status or host.CAPTURED
                self._drop(stage.timing)
        else:
            return False
        for stage in marked:  # after all were read, so that stages of one request are placed alike
            self._settle(stage)
        return True

    def _ask_again(self, stages: Sequence[StageRecord]) -> bool:
        """Whether the device has passed all; notes it for those that it has."""
        all_passed = True
        for stage in stages:
            marks: StageEvents = stage.timing
            if marks.waits():
                if self._has_passed(marks):
                    marks.done = self._now()
                else:
                    all_passed = False
        return all_passed

    def _read_all(self, marks: StageEvents) -> None:
        if marks.status is None and marks.done is None and marks.steps:
            marks.status = host.UNRESOLVED
        try:
            while marks.status is None and marks.steps:
                self._read(marks, marks.steps.pop(0), marks.done or self._now())
        except Exception as error:
            self._blame(marks, error)
        if marks.status is not None:
            self._drop(marks)

    def _read(self, marks: StageEvents, step: Step, done: int) -> None:
        """Turn a step's passed events into numbers and give them back."""
        if step is marks.restart or marks.first is None or marks.last is None:
            marks.first, marks.last = {}, {}
        extents: dict[DeviceClock, tuple[float, float]] = {}
        for window in step:
            clock, device = window.end_epoch.clock, window.end_epoch.clock.device
            elapsed = clock.backend.elapsed_ms(window.start, window.end)
            start, start_error, start_ms = window.start_epoch.read(window.start)
            end, end_error, end_ms = window.end_epoch.read(window.end)
            clock.learn(start, start_error, window.started, done)
            clock.learn(end, end_error, window.ended, done)
            marks.elapsed += elapsed
            _lower(marks.first, clock, (start, start_error, window.started, done))
            _raise(marks.last, clock, (end, end_error, window.ended, done))
            begun, over = extents.get(clock, (end - elapsed * 1e6, end))
            extents[clock] = (min(begun, end - elapsed * 1e6), max(over, end))
            if not clock.renew(window.start_epoch, window.start, start, start_error, start_ms):
                self._pool.give_back(device, window.start)
            if not clock.renew(window.end_epoch, window.end, end, end_error, end_ms):
                self._pool.give_back(device, window.end)
        marks.spent += max(over - begun for begun, over in extents.values())
        marks.runs += 1

    def _drop(self, marks: StageEvents) -> None:
        """Let go of events that will not be read."""
        reuse = marks.status in (host.UNRESOLVED, host.OVERFLOW) and marks.pool is self._pool
        for step in marks.steps:
            if not reuse:  # nothing of a device in trouble is used again
                self._lose(marks.pool, step)
                continue
            for window in step:
                device = window.start_epoch.clock.device
                self._pool.give_back(device, window.start)
                self._pool.give_back(device, window.end)
        marks.steps.clear()

    @staticmethod
    def _lose(pool: EventPool, step: Step) -> None:
        pool.forget(sum((window.start is not None) + (window.end is not None) for window in step))

    def _settle(self, stage: StageRecord) -> None:
        """Put what was read on the stage."""
        marks: StageEvents = stage.timing
        marks.settled = True
        first, last = marks.first, marks.last
        if first and last and marks.status is None and any(clock.broken for clock in (*first, *last)):
            marks.status = host.CLOCK_STEP
        if not first or not last or marks.status is not None:
            host.keep_host_times(stage, marks.status)
            return
        starts = [(*clock.place(*point), point[2]) for clock, point in first.items()]
        ends = [clock.place(*point) for clock, point in last.items()]
        start, start_bound, asked = min(starts)
        end, end_bound = max(ends)
        attrs = stage.attrs
        attrs.setdefault(names.STAGE_HOST_DURATION, ((stage.t1 or stage.t0) - stage.t0) / 1e9)
        attrs[names.TIMING_MODE] = EVENTS
        attrs[names.GPU_ELAPSED] = marks.elapsed / 1e3
        attrs[names.GPU_QUEUE_DELAY] = max(0.0, start - asked) / 1e9
        attrs[names.GPU_CLOCK_UNCERTAINTY] = max(start_bound, end_bound) / 1e9
        stage.t0 = round(start)
        stage.t1 = max(stage.t0, round(end))

    def adopt_thread(self) -> None:
        if self._backend is not None and self._adopted != threading.get_ident():
            self._adopted = threading.get_ident()
            self._backend.adopt_thread()

    def renew(self, parents: Sequence[object]) -> None:
        # The device cannot be used here, and its objects not even be freed: they are kept, and never touched.
        self._guard.renew()
        self._found = threading.RLock()
        if self._backend is not None:
            self._abandoned += (self._pool, self._clocks, *parents)
            self._backend = None
            self._pool = EventPool(self._clocks.backend)


def _is_over(window: EventPair) -> bool:
    """Whether the device has passed the window's end, and where its clocks begin."""
    clock = window.end_epoch.clock
    return clock.backend.query(window.end) and clock.has_begun()


def _lower(points: dict[DeviceClock, Point], clock: DeviceClock, point: Point) -> None:
    if clock not in points or point[0] < points[clock][0]:
        points[clock] = point


def _raise(points: dict[DeviceClock, Point], clock: DeviceClock, point: Point) -> None:
    if clock not in points or point[0] > points[clock][0]:
        points[clock] = point

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Maps a device's time to the host's, with a bound that holds, from causality alone: no call that waits.

An event is not passed before the host asked for it, nor after the host saw it passed. With G the event's time on the
device's clock, its time on the host's is G + theta, so every event bounds theta on both sides; the intersection over
all events is what is known. Bounds age by the drift that the two clocks may still have against each other. Pairs of
close bounds some seconds apart give the drift itself, which is then taken out. docs/gpu.md has the whole argument.

All times are nanoseconds; the host's are those of perf_counter_ns.
"""

from __future__ import annotations

import collections
import math
import threading
from collections.abc import Callable
from typing import Any, Final

from otel_tts.device.clocks.event_pool import EventPool
from otel_tts.device.torch.backend import Backend

DRIFT: Final = 100e-6
"""Allowed between the two clocks before it is known: 100 ppm."""
MOST_DRIFT: Final = 1e-3
"""Allowed after the clocks have contradicted each other: clock slewing reaches 500 ppm."""
LEAST_DRIFT: Final = 5e-6
"""Allowed once the drift is known and taken out: temperature."""
AFTER_IDLE: Final = 20e-6
"""Allowed at first after a pause, where less was allowed before it."""
RESOLUTION_NS: Final = 1_100.0
"""What a time stamp is worth: the documentation says 0.5 µs, devices tick once in up to 1.024 µs."""
RENEW_NS: Final = 4e9
"""Age of the reference at which a newer event takes its place: elapsed times are float32, see `spacing`."""
STALE_NS: Final = 30e9
"""Without any event for so long, what is known is worth less than beginning again."""
_EARLIER: Final = 16
"""Epochs that an event may be older than the newest: it is given up before."""
APART_NS: Final = 2e9
"""Least distance of two calibrations that give the drift."""


def spacing(ms: float) -> float:
    """Return the distance between neighbouring float32 values at `ms` milliseconds, in nanoseconds."""
    return math.ldexp(1.0, max(-126, math.frexp(abs(ms) or 1e-30)[1] - 1) - 23) * 1e6


class Epoch:
    """A stretch of device time: its reference event, where that lies, and the drift that is taken out of it."""

    __slots__ = ("base", "clock", "next", "reference", "scale")

    def __init__(self, clock: DeviceClock, reference: Any, base: float, scale: float) -> None:
        self.clock, self.reference, self.base, self.scale = clock, reference, base, scale
        self.next: Epoch | None = None

    def read(self, event: Any) -> tuple[float, float, float]:
        """Return the time of a passed `event` on the device's clock, its error, and the ms since the reference."""
        ms = self.clock.backend.elapsed_ms(self.reference, event)
        at, epoch = self.base + ms * 1e6 * (1 + self.scale), self
        while epoch.next is not None and at > epoch.next.base:  # recorded before, passed after the next one began
            at = epoch.next.base + (at - epoch.next.base) * (1 + epoch.next.scale) / (1 + epoch.scale)
            epoch = epoch.next
        return at, max(RESOLUTION_NS, spacing(ms)), ms


class DeviceClock:
    """What is known of one device's clock since `reference` was recorded at `at`."""

    def __init__(
        self, backend: Backend, device: int, reference: Any, at: int, before: DeviceClock | None = None
    ) -> None:
        self.backend, self.device = backend, device
        self.broken = False
        """Two observations contradict each other: nothing recorded with this clock can be placed."""
        self.touched = at
        self._begun = False
        self.calibrate_after = -math.inf
        self.renewals = 0
        self._lock = threading.RLock()  # as in `capture_guard`
        self._most = self._drift = DRIFT
        self._scale: float = 0.0
        if before is not None and before.broken:
            self._most = self._drift = min(2 * before._most, MOST_DRIFT)
        elif before is not None:
            self._most, self._drift, self._scale = before._most, max(before._drift, AFTER_IDLE), before._scale
        self._next_drift = self._drift
        self._earlier: collections.deque[tuple[float, float]] = collections.deque(maxlen=_EARLIER)
        """Earlier epochs: until when they held, and the drift that was allowed."""
        self._calibrated: tuple[float, float, float, Epoch] | None = None
        self._low: tuple[float, float] = (float(at), 0.0)
        """A bound of theta and the device's time for which it holds: of an event, that is known exactly."""
        self._high: tuple[float, float] = (math.inf, 0.0)
        self.epoch = Epoch(self, reference, 0.0, self._scale)
        self._first = reference

    def has_begun(self) -> bool:
        """Whether the device has passed the first reference: it may stand in another stream's queue."""
        if not self._begun:
            self._begun = self.epoch.reference is not self._first or self.backend.query(self._first)
        return self._begun

    # --- learning ----------------------------------------------------------------------------------------------------

    def learn(self, at: float, error: float, before: int, done: int) -> None:
        """An event of device time `at` was asked for at `before` and seen passed at `done`."""
        low, high = before - at - error, done - at + error
        with self._lock:
            known_low, known_high = self._bounds(at)
            if low > known_high or high < known_low:
                self.broken = True
                return
            if low >= known_low:
                self._low = (low, at)
            if high <= known_high:
                self._high = (high, at)
            self.touched = max(self.touched, done)

    def calibrate(self, epoch: Epoch, event: Any, before: int, done: int) -> bool:
        """Learn offset and drift from `event`, asked for at `before` and watched until it was passed at `done`.

        True: it became the reference and has to be kept.
        """
        at, error, ms = epoch.read(event)
        self.learn(at, error, before, done)
        self._note_drift((before + done) / 2 - at, (done - before) / 2 + error, at)
        return self.renew(epoch, event, at, error, ms)

    def _note_drift(self, theta: float, width: float, when: float) -> None:
        with self._lock:
            if self._calibrated is None or self._calibrated[3] is not self.epoch:
                self._calibrated = (theta, width, when, self.epoch)
                return
            earlier, earlier_width, since, _ = self._calibrated
            if when - since < APART_NS:
                return
            rate, error = (theta - earlier) / (when - since), (width + earlier_width) / (when - since)
            if abs(rate) > self._most + error:  # no crystal: a step, which `learn` will see
                return
            self._scale, self._next_drift = self.epoch.scale + rate, max(LEAST_DRIFT, 2 * error)
            self._drift = min(self._most, max(LEAST_DRIFT, abs(rate) + 2 * error))  # this epoch keeps its scale

    def renew(self, epoch: Epoch, event: Any, at: float, error: float, ms: float) -> bool:
        """Make a passed event the new reference before float32 gets coarse. True: the event has to be kept."""
        with self._lock:
            if self.epoch is not epoch or ms * 1e6 <= RENEW_NS:
                return False
            low, high = self._bounds(at)
            self._low, self._high = (low - error, at), (high + error, at)
            epoch.next = self.epoch = Epoch(self, event, at, self._scale)
            self._earlier.append((at, self._drift))  # the new allowance holds from here on only
            self._drift = self._next_drift
            self.renewals += 1
            return True

    # --- telling -----------------------------------------------------------------------------------------------------

    def place(self, at: float, error: float, before: int, done: int) -> tuple[float, float]:
        """Return the host time of an event and how far off it can be; never outside of what causality allows."""
        with self._lock:
            low, high = self._bounds(at)
        high = min(high, done - at)
        host = min(max(at + (low + high) / 2, before), done)
        earliest, latest = max(at + low, before), min(at + high, done)
        return host, max(host - earliest, latest - host, 0.0) + error

    def _bounds(self, at: float) -> tuple[float, float]:
        return self._low[0] - self._age(at, self._low[1]), self._high[0] + self._age(at, self._high[1])

    def _age(self, one: float, other: float) -> float:
        drift, since = self._drift, min(one, other)
        for until, allowed in reversed(self._earlier):
            if until <= since:
                break
            drift = max(drift, allowed)
        return drift * abs(one - other)


CALIBRATE_NS: Final = 1e9
"""Time between two calibrations of a device."""


AGAIN_NS: Final = 0.25e9
"""Time to the next calibration after one that failed, since the stream was busy."""


SPIN_NS: Final = 50_000
"""Time that a calibration polls at most."""


class DeviceClocks:
    """By index of the device. All times are ns."""

    def __init__(self, backend: Backend, pool: EventPool, now: Callable[[], int]) -> None:
        self.backend, self._pool, self._now = backend, pool, now
        self._clocks: dict[int, DeviceClock] = {}
        self._lock = threading.RLock()  # as in `capture_guard`

    def epoch(self, device: int, stream: Any, now: int) -> Epoch:
        """Return the epoch that an event recorded now belongs to."""
        clock = self._clocks.get(device)
        if clock is None or clock.broken or now - clock.touched > STALE_NS:
            clock = self._renew(device, stream, clock)
        return clock.epoch

    def _renew(self, device: int, stream: Any, before: DeviceClock | None) -> DeviceClock:
        with self._lock:
            found = self._clocks.get(device)
            if found is not None and found is not before:
                return found  # another thread was faster
            reference, at = self.backend.new_event(), self._now()
            self.backend.record(reference, stream)
            made = self._clocks[device] = DeviceClock(self.backend, device, reference, at, before)
            return made

    def calibrate(self, stream: Any) -> None:
        """Watch one event on an idle stream from being asked for to being passed, at most once a second."""
        device = self.backend.device_of(stream)
        clock = self._clocks.get(device)
        before = self._now()
        if clock is None or clock.broken or before < clock.calibrate_after:
            return
        clock.calibrate_after = before + CALIBRATE_NS  # other threads need not try too
        epoch, event, before = clock.epoch, self._pool.take(device), self._now()
        self.backend.record(event, stream)
        while not self.backend.query(event):
            if self._now() - before > SPIN_NS:
                clock.calibrate_after = before + AGAIN_NS
                self._pool.give_back(device, event)
                return
        if not clock.calibrate(epoch, event, before, self._now()):
            self._pool.give_back(device, event)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The clocks of all devices that stages ran on: made at their first use, made anew where they have become useless."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from otel_tts.timing.backend import Backend
from otel_tts.timing.device_clock import STALE, DeviceClock, Epoch
from otel_tts.timing.event_pool import EventPool

CALIBRATE: Final = 1e9
"""Between two calibrations of a device."""
AGAIN: Final = 0.25e9
"""After one that failed, since the stream was busy."""
SPIN: Final = 50_000
"""That a calibration polls at most."""


class DeviceClocks:
    """By index of the device. All times are ns."""

    def __init__(self, backend: Backend, pool: EventPool, now: Callable[[], int]) -> None:
        self.backend, self._pool, self._now = backend, pool, now
        self._clocks: dict[int, DeviceClock] = {}
        self._lock = threading.RLock()  # as in `capture_guard`

    def epoch(self, device: int, stream: Any, now: int) -> Epoch:
        """Return the epoch that an event recorded now belongs to."""
        clock = self._clocks.get(device)
        if clock is None or clock.broken or now - clock.touched > STALE:
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
        clock.calibrate_after = before + CALIBRATE  # other threads need not try too
        epoch, event, before = clock.epoch, self._pool.take(device), self._now()
        self.backend.record(event, stream)
        while not self.backend.query(event):
            if self._now() - before > SPIN:
                clock.calibrate_after = before + AGAIN
                self._pool.give_back(device, event)
                return
        if not clock.calibrate(epoch, event, before, self._now()):
            self._pool.give_back(device, event)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The sync clock, for debugging: waits for the stage's stream at its ends, so that the host's times are the device's.

Never for the whole device, which would wait for other requests too. What it costs stands on the span.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from otel_tts import names
from otel_tts.device.clocks import host
from otel_tts.device.torch.backend import Backend, find
from otel_tts.device.torch.graphs import CaptureGuard, guard
from otel_tts.guard import note_fault
from otel_tts.record import StageRecord

SYNC: Final = "sync"


class Waits:
    """A stage's marks: its streams, and the ns that were spent waiting for them."""

    __slots__ = ("device", "settled", "spent", "status", "streams")

    def __init__(self, streams: Sequence[Any]) -> None:
        self.streams, self.spent, self.settled = streams, 0, False
        self.status: str | None = None
        self.device: int | None = None


class Sync:
    """Used as `Clock` of a recorder."""

    def __init__(
        self,
        find: Callable[[], Backend | None] = find,
        now: Callable[[], int] = time.perf_counter_ns,
        guard: CaptureGuard = guard,
    ) -> None:
        self._find, self._now, self._guard = find, now, guard

    @property
    def mode(self) -> str:
        return SYNC

    def begin(self, stage: StageRecord) -> Waits | None:
        where = stage.where
        if where == "cpu" or stage.stage == names.Stage.QUEUE:
            return None
        try:
            backend = self._find()
            if backend is None:
                return None
            waits = Waits((backend.current_stream(),) if where is None or where.__class__ is str else where)
            waits.device = backend.device_of(waits.streams[0])
        except Exception as error:
            note_fault("clock", error)
            return None
        self._wait(waits)
        stage.t0 = stage.since = self._now()
        return waits

    def end(self, stage: StageRecord) -> None:
        if stage.timing is not None:
            self._wait(stage.timing)

    pause = resume = end

    def _wait(self, waits: Waits) -> None:
        if waits.status is not None:
            return
        if not self._guard.enter():
            waits.status = host.CAPTURED
            return
        began = self._now()
        try:
            backend = self._find()
            if backend is None:
                waits.status = host.FORKED
            elif backend.is_capturing():
                waits.status = host.CAPTURED
            else:
                for stream in waits.streams:
                    backend.sync_stream(stream)
        except Exception as error:  # an asynchronous error of the application shows up at its next call too
            waits.status = host.error_status(error)
        finally:
            self._guard.leave()
            waits.spent += self._now() - began

    def fold(self, first: StageRecord, stage: StageRecord, restart: bool) -> None:
        waits: Waits | None = first.timing
        more: Waits | None = stage.timing
        if waits is None or more is None:
            first.timing = None
            return
        waits.spent += more.spent
        waits.status = waits.status or more.status

    def passed(self, stages: Sequence[StageRecord]) -> bool:
        return True

    def resolve(self, stages: Sequence[StageRecord], give_up: bool = False) -> bool:
        for stage in stages:
            waits: Waits | None = stage.timing
            if waits is None or waits.settled:
                continue
            waits.settled = True
            stage.attrs[names.GPU_SYNC_WAIT] = waits.spent / 1e9
            if waits.status is None:
                stage.attrs[names.TIMING_MODE] = SYNC
            else:
                host.keep_host_times(stage, waits.status)
        return True

    def adopt_thread(self) -> None:
        pass

    def renew(self, parents: Sequence[object]) -> None:
        self._guard.renew()

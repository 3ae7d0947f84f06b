# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the events clock notes on a stage: pairs of events until the device has passed them, then their times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otel_tts.device.clocks.device_clock import DeviceClock, Epoch
from otel_tts.device.clocks.event_pool import EventPool

Point = tuple[float, float, int, int]
"""An event that the device has passed: its time there, the error of that, when it was asked for, when seen passed."""


class EventPair:
    """Two events around a stretch of work on one stream. Whoever makes it fills it in: a call less on the path."""

    __slots__ = ("end", "end_epoch", "ended", "start", "start_epoch", "started", "stream")

    stream: Any
    start: Any
    end: Any
    start_epoch: Epoch
    end_epoch: Epoch
    started: int
    """Host time just before the start was recorded."""
    ended: int
    """Host time just before the end was recorded."""


Step = Sequence[EventPair]
"""One run of a stage, from its start or a generator's ``next`` to its end or ``yield``: a window on each stream."""


class StageEvents:
    """What the events clock notes of one stage: its steps, and once the device has passed them their times."""

    __slots__ = (
        "device", "done", "elapsed", "first", "last", "open", "pool", "restart", "runs", "settled", "spent", "status",
        "steps", "streams",
    )  # fmt: skip

    pool: EventPool
    streams: Sequence[Any] | None
    """Where the stage said that it runs; None: on the thread's current stream."""
    device: int | None
    """Index of the device, None until it is known."""
    status: str | None
    """Why the host's times have to stand."""
    open: Step | None
    steps: list[Step]
    """Recorded and not yet read."""
    restart: Step | None
    """The step before which all that was placed is forgotten: the span is to stand where this one was."""
    done: int | None
    """Host time at which the newest event was seen passed."""
    first: dict[DeviceClock, Point] | None
    """On each device's clock the earliest start of what was read, `last` the latest end."""
    last: dict[DeviceClock, Point] | None
    elapsed: float
    """ms on the device, all streams added."""
    spent: float
    """ns in steps, streams side by side counted once."""
    runs: int
    """Steps that were read."""
    settled: bool

    def __init__(self, pool: EventPool, streams: Sequence[Any] | None) -> None:
        self.pool, self.streams, self.steps = pool, streams, []
        self.device = self.status = self.open = self.done = self.restart = self.first = self.last = None
        self.elapsed = self.spent = self.runs = 0
        self.settled = False

    def waits(self) -> bool:
        """Whether nobody has seen the device pass the newest event."""
        return self.done is None and self.status is None and bool(self.steps)

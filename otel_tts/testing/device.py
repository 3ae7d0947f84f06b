# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A device without a GPU: one stream of kernels, events and an allocator's counters, on a fake clock.

It answers what otel-tts asks of torch's runtime, through the same two interfaces (`Backend`, `Allocator`); there is no
fake torch, so that a real one may be in use beside it. What it has not: a clock of its own that drifts, several streams
or devices, graphs that are captured, energy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from otel_tts.device.torch.allocator import OomObserver, Stats
from otel_tts.testing.clock import FakeClock

_ASKING_NS: Final = 1_000
"""What a question costs the host: with a clock that stands still, whoever polls would do so for ever."""
_LEVELS: Final = ("allocated_bytes", "reserved_bytes", "active_bytes", "inactive_split_bytes", "requested_bytes")
_COUNTS: Final = ("num_alloc_retries", "num_ooms", "num_device_alloc", "num_device_free", "num_sync_all_streams")


class OutOfMemoryError(RuntimeError):
    """As torch.OutOfMemoryError, by whose name the real one is known too."""


@dataclass
class _Event:
    at: int | None = None


class FakeDevice:
    """A device with `capacity` bytes that works through what it is handed while `clock` goes on.

    Given to `Telemetry(device=…)` it times the stages that are not said to be on the ``cpu``.
    """

    kind = "cuda"

    def __init__(self, clock: FakeClock, capacity: int = 8 << 30) -> None:
        self.clock, self.capacity = clock, capacity
        self._busy_until = 0
        self._levels = {name: {"current": 0, "peak": 0, "allocated": 0, "freed": 0} for name in _LEVELS}
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._observers: list[OomObserver] = []

    # --- what an engine does with it ----------------------------------------------------------------------------------

    def launch(self, seconds: float) -> None:
        """Queue a kernel of `seconds` behind what is queued already; the host goes on at once."""
        self._busy_until = max(self.clock.ns, self._busy_until) + round(seconds * 1e9)

    def synchronize(self) -> None:
        """Let the host wait until the device has done everything, as ``.cpu()`` does."""
        self.clock.ns = max(self.clock.ns, self._busy_until)

    def allocate(self, size: int) -> None:
        """Take `size` bytes; what has been freed before is used first. Raises OutOfMemoryError beyond the capacity."""
        held, reserved = self._now("allocated_bytes") + size, self._now("reserved_bytes")
        if held > self.capacity:
            self._counts["num_alloc_retries"] += 1
            self._counts["num_ooms"] += 1
            for observer in self._observers:
                observer(0, size, self.capacity, self.capacity - reserved)
            raise OutOfMemoryError(f"the fake device has {self.capacity} bytes, {held} are wanted")
        if held > reserved:
            self._counts["num_device_alloc"] += 1
            self._add("reserved_bytes", held - reserved)
        for level in ("allocated_bytes", "active_bytes", "requested_bytes"):
            self._add(level, size)

    def free(self, size: int) -> None:
        """Give `size` bytes back to the allocator, which keeps them. Raises ValueError where fewer are held."""
        if size > self._now("allocated_bytes"):
            raise ValueError(f"{size} bytes are freed, {self._now('allocated_bytes')} are held")
        for level in ("allocated_bytes", "active_bytes", "requested_bytes"):
            self._add(level, -size)

    def _now(self, level: str) -> int:
        return self._levels[level]["current"]

    def _add(self, level: str, size: int) -> None:
        counts = self._levels[level]
        counts["current"] += size
        counts["allocated" if size > 0 else "freed"] += abs(size)
        counts["peak"] = max(counts["peak"], counts["current"])

    # --- `Backend` ----------------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """It always is."""
        return True

    def current_stream(self) -> Any:
        """The only one."""
        return self

    def device_of(self, stream: Any) -> int:
        """The only one."""
        return 0

    def is_capturing(self) -> bool:
        """It never is."""
        return False

    def new_event(self) -> _Event:
        """An event that was not recorded yet."""
        return _Event()

    def record(self, event: _Event, stream: Any) -> None:
        """The device passes `event` when it has done what is queued."""
        event.at = max(self.clock.ns, self._busy_until)

    def query(self, event: _Event) -> bool:
        """Whether the device has passed `event`; the question takes a microsecond."""
        self.clock.ns += _ASKING_NS
        return event.at is None or event.at <= self.clock.ns

    def elapsed_ms(self, start: _Event, end: _Event) -> float:
        """Milliseconds between two events, in single precision as the driver gives them."""
        if start.at is None or end.at is None or max(start.at, end.at) > self.clock.ns:
            raise RuntimeError("the device has not passed both events")
        return struct.unpack("f", struct.pack("f", (end.at - start.at) / 1e6))[0]

    def sync_stream(self, stream: Any) -> None:
        """`synchronize`."""
        self.synchronize()

    def adopt_thread(self) -> None:
        """Nothing: no graph is captured here."""

    # --- `Allocator` --------------------------------------------------------------------------------------------------

    def stats(self, device: int, /) -> Stats:
        """The counters as torch nests them."""
        return {**{name: {"all": dict(counts)} for name, counts in self._levels.items()}, **self._counts}

    def reset_peaks(self, device: int, /) -> None:
        """Every peak is what is held now."""
        for counts in self._levels.values():
            counts["peak"] = counts["current"]

    def holding(self) -> tuple[int, ...]:
        """The only device."""
        return (0,)

    def uuid(self, device: int) -> str | None:
        """Its name in ``hw.id``."""
        return "GPU-00000000-0000-0000-0000-000000000000"

    def watch_oom(self, observer: Callable[[int, int, int, int], None]) -> None:
        """Let `observer` hear of allocations that fail."""
        self._observers.append(observer)

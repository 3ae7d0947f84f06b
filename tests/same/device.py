# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A torch whose one CUDA device lives on the scene's clock: streams, timing events, the allocator's statistics.

It has what an application calls and what telemetry may read of the real one. Calls cost time while a request is under
way only: nobody can say when other threads ask.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.same.fixed import clock

DRIVER_TICKS_NS = 500
"""Resolution of the device's time."""
OFFSET_NS = -777_000_000_123
COST_NS = 2_000
LATENCY_NS = 4_000
CAPACITY = 8 << 30
MIB = 1 << 20


busy = False
"""Whether a request is under way."""


@contextmanager
def at_work() -> Iterator[None]:
    global busy
    busy = True
    try:
        yield
    finally:
        busy = False


def pay() -> None:
    clock.ns += COST_NS if busy else 0


def soon() -> int:
    """Return when an idle device begins with what it is handed now."""
    return clock.ns + (LATENCY_NS if busy else 0)


class OutOfMemoryError(RuntimeError):
    pass


class Stream:
    device_index = 0

    def __init__(self) -> None:
        self.free_at = 0

    def launch(self, seconds: float) -> None:
        """A kernel, behind what the stream has to do."""
        pay()
        self.free_at = max(soon(), self.free_at) + round(seconds * 1e9)

    def synchronize(self) -> None:
        clock.ns = max(clock.ns, self.free_at)


class Event:
    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing
        self.at: int | None = None

    def record(self, stream: Stream) -> None:
        pay()
        stream.free_at = self.at = max(soon(), stream.free_at)

    def query(self) -> bool:
        pay()
        return self.at is None or self.at <= clock.ns

    def elapsed_time(self, end: Event) -> float:
        assert self.query() and end.query()
        return (end._stamp() - self._stamp()) * DRIVER_TICKS_NS / 1e6

    def _stamp(self) -> int:
        assert self.at is not None
        return (self.at + OFFSET_NS) // DRIVER_TICKS_NS


class Allocator:
    KEYS = ("allocated_bytes", "reserved_bytes", "active_bytes", "inactive_split_bytes", "requested_bytes")
    COUNTS = ("num_alloc_retries", "num_ooms", "num_device_alloc", "num_device_free", "num_sync_all_streams")

    def __init__(self) -> None:
        self.levels = {key: {"current": 0, "peak": 0, "allocated": 0, "freed": 0} for key in self.KEYS}
        self.counts = dict.fromkeys(self.COUNTS, 0)
        self.observers: list[Callable[[int, int, int, int], None]] = []

    def take(self, size: int) -> None:
        held = self.levels["allocated_bytes"]["current"] + size
        more = held - self.levels["reserved_bytes"]["current"]
        if held > CAPACITY:
            self.counts["num_alloc_retries"] += 1
            self.counts["num_ooms"] += 1
            for observer in self.observers:
                observer(0, size, CAPACITY, CAPACITY - self.levels["reserved_bytes"]["current"])
            raise OutOfMemoryError("CUDA out of memory")
        if more > 0:
            self.counts["num_device_alloc"] += 1
            self._add("reserved_bytes", more)
        for key in ("allocated_bytes", "active_bytes", "requested_bytes"):
            self._add(key, size)

    def give_back(self, size: int) -> None:
        for key in ("allocated_bytes", "active_bytes", "requested_bytes"):
            self._add(key, -size)

    def _add(self, key: str, size: int) -> None:
        level = self.levels[key]
        level["current"] += size
        level["allocated" if size > 0 else "freed"] += abs(size)
        level["peak"] = max(level["peak"], level["current"])

    def nested(self, device: Any = None) -> dict[str, Any]:
        return {**{key: {"all": dict(level)} for key, level in self.levels.items()}, **self.counts}

    def reset_peaks(self, device: Any = None) -> None:
        for level in self.levels.values():
            level["peak"] = level["current"]


def install() -> tuple[Stream, Allocator]:
    """Put it in torch's place, as an application that has imported it and used its device."""
    stream, allocator = Stream(), Allocator()
    torch: Any = types.ModuleType("torch")
    memory: Any = types.ModuleType("torch.cuda.memory")
    memory.memory_stats_as_nested_dict = allocator.nested
    memory.reset_peak_memory_stats = allocator.reset_peaks
    cuda: Any = types.ModuleType("torch.cuda")
    cuda.memory, cuda.Event = memory, Event
    cuda.memory_stats_as_nested_dict = allocator.nested
    cuda.reset_peak_memory_stats = allocator.reset_peaks
    cuda.is_initialized = lambda: True
    cuda.is_current_stream_capturing = lambda: False
    cuda.current_device = lambda: 0
    cuda.device_count = lambda: 1
    cuda.current_stream = lambda device=None: stream
    cuda.get_device_properties = lambda device: types.SimpleNamespace(
        name="NVIDIA Fake", uuid="00000000-0000-0000-0000-000000000001"
    )
    torch.cuda, torch.OutOfMemoryError = cuda, OutOfMemoryError
    torch.version = types.SimpleNamespace(cuda="12.8", hip=None)
    torch._C = types.SimpleNamespace(
        _cuda_attach_out_of_memory_observer=allocator.observers.append,
        _cuda_memoryStats=allocator.nested,
        _cuda_resetPeakMemoryStats=allocator.reset_peaks,
    )
    torch.device = lambda name: types.SimpleNamespace(index=int(str(name).partition(":")[2] or 0))
    OutOfMemoryError.__module__ = "torch"
    sys.modules["torch"], sys.modules["torch.cuda"], sys.modules["torch.cuda.memory"] = torch, cuda, memory
    return stream, allocator

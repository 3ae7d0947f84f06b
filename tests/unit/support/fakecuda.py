# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A CUDA device that lives in virtual time: streams, events, graph capture, allocator. No GPU, no threads, no sleeping.

Host time is an integer of nanoseconds; every call costs some of it. The device runs each stream in order, a little
behind the host. Its own clock has an offset and a drift, stamps have a resolution, elapsed_time returns float32 ms.
What would make a real program wait is counted in `FakeCuda.blocking_calls`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MS = 1_000_000
"""Nanoseconds in a millisecond."""


def f32(value: float) -> float:
    """Round to single precision, as the C API does."""
    return struct.unpack("f", struct.pack("f", value))[0]


class CudaError(RuntimeError):
    """As torch.AcceleratorError, which is a RuntimeError too."""


class OutOfMemoryError(RuntimeError):
    """As torch.OutOfMemoryError."""


class VirtualClock:
    """Host time. `work` lets it pass; `step` is what somebody set the time of day by."""

    def __init__(self, wall: int = 1_795_000_000_000_000_000) -> None:
        self.t, self._wall, self.step = 1_000_000_000, wall, 0

    def perf_ns(self) -> int:
        return self.t

    def wall_ns(self) -> int:
        return self._wall + self.t + self.step

    def work(self, ns: float) -> None:
        self.t += int(ns)


class FakeStream:
    _made = 0

    def __init__(self, device: FakeDevice, name: str | None = None) -> None:
        FakeStream._made += 1
        self.dev, self.tail, self.id = device, 0, FakeStream._made
        self.capture: dict[str, Any] | None = None
        self.name = name or f"s{self.id}"

    def __repr__(self) -> str:
        return f"<{self.name}@cuda:{self.dev.index}>"


class FakeEvent:
    def __init__(self, external: bool = False) -> None:
        self.external = external
        self.stamp: int = 0
        self.done_at: float | None = None
        self.captured: dict[str, Any] | None = None
        self.dev: FakeDevice | None = None


class FakeAllocator:
    """The counters of torch.cuda's allocator: current/peak/allocated/freed, segments of 2 MiB multiples."""

    KEYS = (
        "allocated_bytes", "reserved_bytes", "active_bytes", "inactive_split_bytes", "requested_bytes", "allocation",
        "segment",
    )  # fmt: skip

    def __init__(self, capacity: int = 80 << 30) -> None:
        self.s = {key: {"current": 0, "peak": 0, "allocated": 0, "freed": 0} for key in self.KEYS}
        self.c = {
            "num_alloc_retries": 0,
            "num_ooms": 0,
            "num_device_alloc": 0,
            "num_device_free": 0,
            "num_sync_all_streams": 0,
        }
        self.capacity, self.free_in_cache = capacity, 0
        self.live: dict[object, tuple[int, int]] = {}
        self.reads = self.resets = 0

    def _add(self, key: str, n: int) -> None:
        s = self.s[key]
        s["current"] += n
        if n >= 0:
            s["allocated"] += n
            s["peak"] = max(s["peak"], s["current"])
        else:
            s["freed"] -= n

    def alloc(self, n: int) -> object:
        need = -(-n // 512) * 512
        if need > self.free_in_cache:
            segment = max(2 << 20, -(-(need - self.free_in_cache) // (2 << 20)) * (2 << 20))
            if self.s["reserved_bytes"]["current"] + segment > self.capacity:
                self.c["num_alloc_retries"] += 1
                self.c["num_ooms"] += 1
                raise OutOfMemoryError("CUDA out of memory (fake)")
            self._add("reserved_bytes", segment)
            self._add("segment", 1)
            self.c["num_device_alloc"] += 1
            self.free_in_cache += segment
        self.free_in_cache -= need
        self._add("allocated_bytes", need)
        self._add("active_bytes", need)
        self._add("requested_bytes", n)
        self._add("allocation", 1)
        handle = object()
        self.live[handle] = (need, n)
        return handle

    def free(self, handle: object) -> None:
        need, n = self.live.pop(handle)
        self.free_in_cache += need
        self._add("allocated_bytes", -need)
        self._add("active_bytes", -need)
        self._add("requested_bytes", -n)
        self._add("allocation", -1)

    def empty_cache(self) -> None:
        """Give back what no tensor uses, as if each block were a segment of its own."""
        self._add("reserved_bytes", -self.free_in_cache)
        self.free_in_cache = 0

    def nested(self) -> dict[str, Any]:
        self.reads += 1
        return {**{key: {"all": dict(value)} for key, value in self.s.items()}, **self.c}

    def reset_peak(self) -> None:
        self.resets += 1
        for value in self.s.values():
            value["peak"] = value["current"]


class FakeDevice:
    def __init__(
        self,
        clock: VirtualClock,
        index: int = 0,
        offset_ns: int = -777_000_000_123,
        drift_ppm: float = 0.0,
        resolution_ns: int = 500,
        launch_ns: int = 6_000,
        latency_ns: int = 4_000,
        record_ns: int = 3_000,
        query_ns: int = 1_000,
        wake_ns: int = 9_000,
        memory: FakeAllocator | None = None,
    ) -> None:
        self.clock, self.index, self.offset, self.drift = clock, index, offset_ns, drift_ppm * 1e-6
        self.res, self.launch_ns, self.latency_ns = resolution_ns, launch_ns, latency_ns
        self.record_ns, self.query_ns, self.wake_ns = record_ns, query_ns, wake_ns
        self.default = FakeStream(self, "default")
        self.streams, self.mem = [self.default], memory or FakeAllocator()
        self.broken: str | None = None
        """Message of the sticky error that every call raises."""
        self.uuid = f"00000000-0000-0000-0000-{index:012d}"

    def stream(self, name: str | None = None) -> FakeStream:
        stream = FakeStream(self, name)
        self.streams.append(stream)
        return stream

    def gpu_clock(self, host_ns: float) -> int:
        g = self.offset + host_ns * (1 + self.drift)
        return int(g // self.res) * self.res


class FakeCuda:
    """The backend interface (otel_tts.device.torch.backend), and what a program does with a device."""

    kind = "cuda"

    def __init__(self, clock: VirtualClock | None = None, devices: int = 1, **device: Any) -> None:
        self.clock = clock or VirtualClock()
        self.devs = [FakeDevice(self.clock, index, **device) for index in range(devices)]
        self.cur_dev, self.cur = 0, {d.index: d.default for d in self.devs}
        self.thread = "main"
        """The thread that is calling, for the thread-local mode of captures."""
        self.captures: list[dict[str, Any]] = []
        self.blocking_calls, self.blocked_ns = 0, 0
        self.calls: list[str] = []
        self.truth: dict[str, tuple[float, float]] = {}
        """Label of launches to the host time at which the first really began and the last really ended."""
        self.initialized = True
        self.forked = False
        self.observers: list[Callable[..., None]] = []
        """Called with the numbers of an allocation that fails."""

    # --- what a program does ----------------------------------------------------------------------------------

    @contextmanager
    def use(self, stream: FakeStream) -> Iterator[FakeStream]:
        """As ``with torch.cuda.stream(stream)``."""
        outer, device = self.cur[stream.dev.index], self.cur_dev
        self.cur[stream.dev.index], self.cur_dev = stream, stream.dev.index
        try:
            yield stream
        finally:
            self.cur[stream.dev.index], self.cur_dev = outer, device

    def launch(self, ns: float, label: str | None = None, stream: FakeStream | None = None) -> None:
        """A kernel of `ns`, queued behind what its stream has to do."""
        s = stream or self.cur[self.cur_dev]
        self.clock.work(s.dev.launch_ns)
        if s.dev.broken:
            raise CudaError(s.dev.broken)
        if s.capture:
            s.capture["ops"].append(("kernel", ns))
            return
        start = max(self.clock.t + s.dev.latency_ns, s.tail)
        s.tail = start + int(ns)
        if label is not None:
            first, last = self.truth.get(label, (start, s.tail))
            self.truth[label] = (min(first, start), max(last, s.tail))

    def wait_stream(self, waiting: FakeStream, other: FakeStream) -> None:
        waiting.tail = max(waiting.tail, other.tail)

    def cpu_copy(self, stream: FakeStream | None = None) -> None:
        """The request's own synchronisation: ``.cpu()``."""
        s = stream or self.cur[self.cur_dev]
        self._refuse_in_capture("memcpy")
        self._block(s.tail, s.dev, natural=True)

    def alloc(self, mib: float, device: int = 0) -> object:
        """A tensor of so many MiB, as an engine makes it."""
        memory, size = self.devs[device].mem, int(mib * 2**20)
        try:
            return memory.alloc(size)
        except OutOfMemoryError:
            free = memory.capacity - memory.s["reserved_bytes"]["current"]
            for observer in self.observers:
                observer(device, size, memory.capacity, free)
            raise

    def free(self, handle: object, device: int = 0) -> None:
        self.devs[device].mem.free(handle)

    def use_mib(self, mib: float, device: int = 0) -> None:
        self.free(self.alloc(mib, device), device)

    def begin_capture(self, stream: FakeStream, mode: str = "global") -> dict[str, Any]:
        capture = {"stream": stream, "mode": mode, "thread": self.thread, "ops": [], "invalid": False}
        stream.capture = capture
        self.captures.append(capture)
        return capture

    def end_capture(self, stream: FakeStream) -> dict[str, Any]:
        capture, stream.capture = stream.capture, None
        assert capture is not None
        self.captures.remove(capture)
        if capture["invalid"]:
            raise CudaError("operation failed due to a previous error during capture")
        return capture

    def _refuse_in_capture(self, what: str, event: FakeEvent | None = None) -> None:
        if event is not None and event.captured is not None and not event.external:
            if event.captured in self.captures:
                event.captured["invalid"] = True
            raise CudaError("operation not permitted on an event last recorded in a capturing stream")
        for capture in self.captures:
            if capture["mode"] == "global" or (capture["mode"] == "thread_local" and capture["thread"] == self.thread):
                capture["invalid"] = True
                raise CudaError(f"operation not permitted when stream is capturing ({what})")

    # --- the backend interface ----------------------------------------------------------------------------------

    def perf_ns(self) -> int:
        return self.clock.perf_ns()

    def wall_ns(self) -> int:
        return self.clock.wall_ns()

    def is_ready(self) -> bool:
        return self.initialized and not self.forked

    def current_stream(self, device: int | None = None) -> FakeStream:
        return self.cur[self.cur_dev if device is None else device]

    def device_of(self, stream: FakeStream) -> int:
        return stream.dev.index

    def is_capturing(self) -> bool:
        return self.cur[self.cur_dev].capture is not None

    def new_event(self) -> FakeEvent:
        return FakeEvent()

    def record(self, event: FakeEvent, stream: FakeStream) -> None:
        self.calls.append("record")
        d = stream.dev
        self.clock.work(d.record_ns // 2)  # the submission happens inside the call
        if self.forked:
            raise CudaError("initialization error")
        if d.broken:
            raise CudaError(d.broken)
        if event.dev is not None and event.dev is not d:
            raise CudaError(f"Event device {event.dev.index} does not match recording stream's device {d.index}.")
        event.dev = d
        if stream.capture:
            event.captured = stream.capture
            stream.capture["ops"].append(("event", event))
        else:
            event.captured = None
            event.done_at = max(self.clock.t + d.latency_ns, stream.tail)
            event.stamp = d.gpu_clock(event.done_at)
            stream.tail = event.done_at
        self.clock.work(d.record_ns - d.record_ns // 2)

    def query(self, event: FakeEvent) -> bool:
        self.calls.append("query")
        self._refuse_in_capture("query", event)
        self.clock.work(event.dev.query_ns if event.dev else 0)
        if event.dev and event.dev.broken:
            raise CudaError(event.dev.broken)
        return event.done_at is None or event.done_at <= self.clock.t

    def elapsed_ms(self, start: FakeEvent, end: FakeEvent) -> float:
        if start.done_at is None or end.done_at is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if start.dev is not end.dev:
            raise CudaError("invalid resource handle")
        if not (self.query(start) and self.query(end)):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return f32((end.stamp - start.stamp) / 1e6)

    def wait(self, event: FakeEvent) -> None:
        self.calls.append("wait")
        self._refuse_in_capture("event synchronize", event)
        assert event.dev is not None and event.done_at is not None
        self._block(event.done_at, event.dev)

    def sync_stream(self, stream: FakeStream) -> None:
        self.calls.append("sync_stream")
        self._refuse_in_capture("stream synchronize")
        self._block(stream.tail, stream.dev)

    def sync_device(self, device: int) -> None:
        self.calls.append("sync_device")
        self._refuse_in_capture("device synchronize")
        d = self.devs[device]
        self._block(max(s.tail for s in d.streams), d)

    def _block(self, until: float, device: FakeDevice, natural: bool = False) -> None:
        if device.broken:
            raise CudaError(device.broken)
        waited = max(0, until - self.clock.t)
        self.clock.work(waited + device.wake_ns)
        if not natural:
            self.blocking_calls += 1
            self.blocked_ns += int(waited)

    def adopt_thread(self) -> None:
        """Nothing: the fake's threads are names."""

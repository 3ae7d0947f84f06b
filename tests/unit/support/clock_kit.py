# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service on the fake device: the real recorder, syntheses and stages in virtual time, and a check of every claim."""

from __future__ import annotations

import contextvars
import random
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from otel_tts import names
from otel_tts.device.clocks.clock import HOST
from otel_tts.device.clocks.events import EVENTS, Events
from otel_tts.device.clocks.sync import Sync
from otel_tts.device.torch.graphs import CaptureGuard
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis
from otel_tts.testing import put_clock
from tests.unit.support.fakecuda import MS, FakeCuda, OutOfMemoryError
from tests.unit.support.faketorch import FakeTorch
from tests.unit.support.world import World


class CheckedEvents(Events):
    """Compares every time that it gives with what the device really did: a bound that does not hold is an error."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.placed: list[tuple[float, float]] = []
        """Of every stage with device times: the largest error and the bound that was claimed, ns."""
        self.wrong: list[str] = []
        self._true: dict[int, tuple[float, float]] = {}

    def _read(self, marks: Any, step: Any, done: int) -> None:
        start, end = min(w.start.done_at for w in step), max(w.end.done_at for w in step)
        if step is not marks.restart and id(marks) in self._true:
            earlier, later = self._true[id(marks)]
            start, end = min(start, earlier), max(end, later)
        self._true[id(marks)] = start, end
        super()._read(marks, step, done)

    def _settle(self, stage: Any) -> None:
        t0, t1 = stage.t0, stage.t1
        super()._settle(stage)
        true = self._true.pop(id(stage.timing), None)
        if stage.attrs[names.TIMING_MODE] == HOST:
            if (stage.t0, stage.t1) != (t0, t1):
                self.wrong.append(f"{stage.name}: host times were changed")
            return
        assert true is not None
        error = max(abs(stage.t0 - true[0]), abs(stage.t1 - true[1]))
        bound = stage.attrs[names.GPU_CLOCK_UNCERTAINTY] * 1e9
        self.placed.append((error, bound))
        if error > bound + 1:  # rounding to whole ns
            self.wrong.append(f"{stage.name}: {error:.0f} ns off, claimed {bound:.0f}")


class Service:
    """One process: `cuda` is its device, `world` what it emits."""

    def __init__(self, world: World, cuda: FakeCuda, clock: str) -> None:
        self.world, self.cuda, self.guard = world, cuda, CaptureGuard()
        options: dict[str, Any] = {"now": cuda.perf_ns, "guard": self.guard}
        self.clock: Any = None
        if clock == EVENTS:
            self.clock = CheckedEvents(self._find, **options)
        elif clock == "sync":
            self.clock = Sync(self._find, **options)
        world.recorder.clock = self.clock

    def _find(self) -> Any:
        return self.cuda if self.cuda.is_ready() else None

    def synthesis(self) -> Synthesis:
        return self.world.synthesis()

    def pass_time(self, ns: float) -> None:
        self.cuda.clock.work(ns)

    def drain(self) -> Service:
        self.world.drain()
        return self

    def settle(self, ns: float = 60_000 * MS) -> Service:
        """Let the device finish what it has, and emit it."""
        self.drain()
        self.pass_time(max([ns] + [s.tail - self.cuda.clock.t for d in self.cuda.devs for s in d.streams]))
        return self.drain()

    def ms(self, name: str) -> tuple[float, float]:
        """A span's start and end on the host's clock, in ms."""
        span = self.world.span(name)
        wall = self.cuda.clock.wall_ns() - self.cuda.clock.step - self.cuda.clock.t
        return (span.start_time - wall) / MS, (span.end_time - wall) / MS

    def took(self, name: str) -> float:
        start, end = self.ms(name)
        return end - start

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(self.world.span(name).attributes)

    @contextmanager
    def capture(self, stream: Any, mode: str = "global", thread: str | None = None) -> Iterator[dict[str, Any]]:
        """As ``with torch.cuda.graph(...)``, in the given thread; fails where something broke the capture."""
        graph, caller = _Graph(), self.cuda.thread
        self.cuda.thread = thread or caller
        self.guard.begin(graph)
        capture = self.cuda.begin_capture(stream, mode)
        self.cuda.thread = caller
        try:
            yield capture
        finally:
            self.guard.end(graph)
            self.cuda.end_capture(stream)


class _Graph:
    """Stands for a torch.cuda.CUDAGraph."""


@contextmanager
def serving(
    clock: str = EVENTS, world: dict[str, Any] | None = None, memory: bool = False, **device: Any
) -> Iterator[Service]:
    """A service for the time of the block; in the end nothing that was claimed may have been wrong.

    `memory`: there is a torch whose allocator is read too.
    """
    cuda = FakeCuda(**device)
    with put_clock(cuda.perf_ns, cuda.wall_ns), pytest.MonkeyPatch.context() as patch:
        if memory:
            patch.setitem(sys.modules, "torch", FakeTorch(cuda))
        here = World(**(world or {}))
        try:
            service = Service(here, cuda, clock)
            yield service
            if isinstance(service.clock, CheckedEvents):
                assert not service.clock.wrong, service.clock.wrong[:5]
                assert cuda.blocking_calls == 0
        finally:
            here.emitter._waiting.clear()  # the device's time stands still now
            here.close()


# --- random traffic -------------------------------------------------------------------------------------------

Job = Generator[None, None, None]


class Traffic:
    """Requests in several threads at once on several streams, with nesting, errors and captures."""

    NAMES = ("reference_encode", "acoustic_model", "vocoder", "model", "postprocess")

    def __init__(self, service: Service, seed: int, threads: int = 3) -> None:
        self.service, self.cuda, self.random = service, service.cuda, random.Random(seed)
        self.streams = [d.default for d in self.cuda.devs] + [d.stream() for d in self.cuda.devs for _ in range(2)]
        self.capturing = self.cuda.devs[0].stream("capturing")
        self.threads = threads
        self.finished = self.failed = 0
        self.held: dict[str, list[tuple[object, int]]] = {}
        """Allocations of each thread's request, freed at its end."""
        self.peaks: dict[int, list[int]] = {}
        """By span id the most that was allocated on each device while the stage was open."""
        self.open: set[int] = set()

    def run(self, requests: int) -> None:
        """Take turns between the threads until so many requests are over."""
        jobs: dict[str, tuple[contextvars.Context, Job, Any]] = {}
        while self.finished < requests:
            thread = f"thread-{self.random.randrange(self.threads)}"
            if thread not in jobs:
                stream = self.random.choice(self.streams)
                jobs[thread] = contextvars.copy_context(), self._request(stream), stream
            context, job, stream = jobs[thread]
            self.cuda.thread = thread
            try:
                with self.cuda.use(stream):
                    context.run(next, job)
            except StopIteration:
                self._free(thread)
                del jobs[thread]
                self.finished += 1
                if self.random.random() < 0.3:
                    self.cuda.thread = "recorder"
                    self.service.drain()
        for thread, (context, job, stream) in jobs.items():
            self.cuda.thread = thread
            with self.cuda.use(stream):
                context.run(lambda job=job: [None for _ in job])
            self._free(thread)

    def _request(self, stream: Any) -> Job:
        chance = self.random.random
        self.service.pass_time(self.random.choice([1, 20, 200, 5000]) * self.random.randrange(1, MS))
        try:
            with self.service.synthesis() as synthesis:
                for _ in range(self.random.randrange(1, 4)):
                    yield from self._stage(synthesis, stream, depth=0)
                if chance() < 0.8 and not self.cuda.captures:
                    self.cuda.cpu_copy(stream)
        except (ZeroDivisionError, OutOfMemoryError):
            self.failed += 1
        if chance() < 0.02 and not self.cuda.captures:
            with self.service.capture(self.capturing, self.random.choice(["global", "thread_local"])):
                yield
                yield

    def _stage(self, synthesis: Synthesis, stream: Any, depth: int) -> Job:
        chance, pick = self.random.random, self.random.choice
        options: dict[str, Any] = {}
        if chance() < 0.15:
            options["device"] = "cpu"
        elif chance() < 0.2:
            options["streams"] = self.random.sample(self.streams, 2)
        with synthesis.stage(pick(self.NAMES), **options) as stage, self._window(stage):
            yield
            if "device" not in options:
                self._allocate(stream.dev.index)
            self.service.pass_time(self.random.randrange(0, 3 * MS))
            for where in options.get("streams", (stream,)):
                for _ in range(self.random.randrange(0, 5)):
                    self.cuda.launch(self.random.randrange(1_000, 8 * MS), stream=where)
            if depth < 2 and chance() < 0.3:
                yield from self._stage(synthesis, stream, depth + 1)
            if chance() < 0.03:
                raise ZeroDivisionError
            yield

    def _allocate(self, device: int) -> None:
        """Some tensors, of which some live as long as the request; now and then far too much, or a reset of peaks."""
        chance = self.random.random
        for _ in range(self.random.randrange(4)):
            handle = self.cuda.alloc(self.random.choice([0.5, 3, 40]) * self.random.random(), device)
            self._watch()
            if chance() < 0.4:
                self.held.setdefault(self.cuda.thread, []).append((handle, device))
            else:
                self.cuda.free(handle, device)
        torch: Any = sys.modules.get("torch")
        if torch is not None and chance() < 0.02:
            torch.cuda.reset_peak_memory_stats(device)
        if chance() < 0.005:
            self.cuda.alloc(2**20, device)

    def _free(self, thread: str) -> None:
        for handle, device in self.held.pop(thread, ()):
            self.cuda.free(handle, device)

    @contextmanager
    def _window(self, stage: StageSpan) -> Iterator[None]:
        span_id = stage.get_span_context().span_id
        self.peaks[span_id] = [0] * len(self.cuda.devs)
        self.open.add(span_id)
        self._watch()
        try:
            yield
        finally:
            self.open.discard(span_id)

    def _watch(self) -> None:
        levels = [device.mem.s["allocated_bytes"]["current"] for device in self.cuda.devs]
        for span_id in self.open:
            self.peaks[span_id] = [max(pair) for pair in zip(self.peaks[span_id], levels, strict=True)]


def four_stages(service: Service) -> Synthesis:
    """The example of docs/gpu.md: each stage starts with 2 ms of Python, then queues kernels of 1 ms."""
    cuda = service.cuda
    with service.synthesis() as synthesis:
        for name, kernels in (("speaker", 8), ("acoustic_model", 40), ("vocoder", 15), ("enhance", 6)):
            with synthesis.stage(name):
                cuda.clock.work(2 * MS)
                for _ in range(kernels):
                    cuda.launch(MS, name)
        cuda.cpu_copy()
    return synthesis

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Everything about devices that a recorder owns: who measures memory, keeps the books, watches health and fallbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from otel_tts import names
from otel_tts.gpu import courtesy, devices, energy
from otel_tts.gpu.allocator import Mark, MemoryEvent, StageMemory
from otel_tts.gpu.devices import TorchAllocator
from otel_tts.gpu.energy import Ledger, Owner, Span
from otel_tts.gpu.fallback import FallbackWatch
from otel_tts.gpu.nvml import THROTTLING, Snapshot
from otel_tts.gpu.oom import Failures
from otel_tts.gpu.poller import Poller
from otel_tts.guard import contain, note_fault
from otel_tts.settings import Settings

if TYPE_CHECKING:
    from otel_tts.stage import Stage
    from otel_tts.synthesis import Synthesis

Point = tuple[float, dict[str, str]]
"""A value and its labels."""
Observed = tuple[names.Metric, Callable[[], Iterable[Point]]]

_SETTLE_AFTER: Final = 2_000_000_000
"""ns: times of a device become known a little after their request's end."""
_LOOK_EVERY: Final = 1_000_000_000
_MOST_OPEN: Final = 20_000
_DEVICE_CLOCKS: Final = frozenset({"events", "sync"})
_GPU: Final = {names.HW_TYPE: "gpu"}


class GpuKit:
    """One for each recorder. `begin` and what `memory` does is on the request's path, the rest is not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wants_memory = settings.memory_events != "none"
        self._polls = self._begun = False
        self._held: Poller | None = None
        self._renew()

    def _renew(self) -> None:
        self.memory: StageMemory | None = None
        self._allocator: TorchAllocator | None = None
        self.ledger = Ledger()
        self.fallbacks = FallbackWatch()
        self.poller = Poller(self._settings.nvml_interval, self._read_energy, self._wanted)
        self._spans: dict[int, dict[tuple[str, str], list[Span]]] = {}
        self._looked = 0

    # --- life ----------------------------------------------------------------------------------------------------

    def find_memory(self) -> StageMemory | None:
        """Return who measures memory, once the application has initialised CUDA; asked at each request's start."""
        self._begun = True
        if self.memory is None and self._wants_memory:
            try:
                self._adopt(devices.find())
            except Exception as error:
                self._wants_memory = False
                note_fault("gpu.memory", error)
        return self.memory

    def _adopt(self, allocator: TorchAllocator | None) -> None:
        if allocator is None:
            return
        failures = Failures()
        memory = StageMemory(allocator, failures)
        contain("gpu.courtesy", courtesy.install, allocator.torch, memory.windows)
        contain("gpu.oom", allocator.watch_oom, failures.note)
        self._allocator, self.memory = allocator, memory

    def allow_polling(self) -> None:
        """Let the first look after a request start the NVML thread: a server's master never speaks, and needs none."""
        self._polls = True

    def look(self, open_since: Iterable[int]) -> None:
        """Do what is due now and then; `open_since` are the starts of the requests that are not yet settled."""
        now = time.perf_counter_ns()
        if now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        if self._begun and self._polls and not self.poller.started:
            self.poller.start()
        if self.memory is not None:
            contain("gpu.memory", self.memory.look)  # a lost device must not keep the books open
        until = min((now - _SETTLE_AFTER, *open_since))
        self.ledger.settle(max(until, now - energy.LONGEST_WAIT))

    def stop(self) -> None:
        """End the NVML thread and share out what is on the books."""
        self.poller.stop()
        self.ledger.settle(time.perf_counter_ns())
        if self._allocator is not None:
            contain("gpu.courtesy", courtesy.uninstall, self._allocator.torch)

    def before_fork(self) -> None:
        """Let no child inherit the locks of a driver's library in use."""
        self._held = self.poller if self.poller.hold() else None

    def after_fork_in_parent(self) -> None:
        """Go on."""
        held, self._held = self._held, None
        if held is not None:
            held.release()

    def renew(self) -> None:
        """Begin anew in a forked child: CUDA cannot be used there, and the parent reports what it counted."""
        if self._allocator is not None:
            contain("gpu.courtesy", courtesy.uninstall, self._allocator.torch)
        self._held, self._begun = None, False
        self._renew()

    # --- finished records ------------------------------------------------------------------------------------------

    def settle_stage(self, stage: Stage, mark: Any, late: bool = False) -> list[MemoryEvent]:
        """Say what a finished stage did on the device; the clock has put its times on it.

        `late`: its synthesis has left already, and is charged no more.
        """
        if not isinstance(mark, Mark) or self.memory is None or mark.after is None:
            return []
        memory, root = self.memory, stage.root
        events = memory.settle_stage(stage, mark, late)
        if late:
            return events
        if events:
            self._book(stage, memory.device_of(mark))
        if not mark.shared and not stage.nested and stage.status is None:
            key = (root.attrs.get(names.ENGINE), root.attrs.get(names.MODEL), stage.stage)
            if self.fallbacks.stage(key, mark.touched, mark.at - mark.began):
                root.attrs[names.DEVICE_FALLBACK] = True
        return events

    def _book(self, stage: Stage, device: str | None) -> None:
        if device is None or stage.t1 is None:
            return
        on_device = stage.attrs.get(names.TIMING_MODE) in _DEVICE_CLOCKS
        how = energy.TIMESHARE if on_device else energy.TIMESHARE_HOST
        if id(stage.root) in self._spans or len(self._spans) < _MOST_OPEN:
            books = self._spans.setdefault(id(stage.root), {})
            books.setdefault((device, how), []).append((stage.t0, stage.t1))

    def settle(self, synthesis: Synthesis, others: Iterable[int]) -> list[MemoryEvent]:
        """Put cost and fallback on a finished synthesis; `others` are the starts of the requests now open."""
        attrs = synthesis.attrs
        if self.fallbacks.engine((attrs.get(names.ENGINE), attrs.get(names.MODEL)), attrs.get(names.DEVICE)):
            attrs[names.DEVICE_FALLBACK] = True
        self._charge(synthesis, others)
        return self.memory.settle(synthesis) if self.memory is not None else []

    def _charge(self, synthesis: Synthesis, others: Iterable[int]) -> None:
        spans = self._spans.pop(id(synthesis), None)
        if not spans:
            return
        attrs, now = synthesis.attrs, time.perf_counter_ns()
        beside = [(start, now) for start in others]
        share = 0.0
        for (device, how), times in spans.items():
            owner: Owner = (attrs.get(names.ENGINE), attrs.get(names.MODEL), how)
            share += self.ledger.share_of(device, times, beside)
            self.ledger.add(device, synthesis.sc[1], owner, times)
        if self._settings.gpu_price:
            attrs[names.COST] = share / 3.6e12 * self._settings.gpu_price
            attrs[names.COST_CURRENCY] = self._settings.currency

    # --- NVML ----------------------------------------------------------------------------------------------------

    def _wanted(self) -> tuple[str, ...] | None:
        """Name the devices of this process: by torch's word where CUDA is in use, else by CUDA_VISIBLE_DEVICES."""
        allocator = self._allocator
        if allocator is not None:
            found = tuple(uuid for uuid in map(allocator.uuid, range(allocator.count())) if uuid is not None)
            if found:
                return found
        return devices.visible()

    def _read_energy(self, snapshot: Snapshot) -> None:
        """A MIG instance's energy is not known, and its parent's is others' too."""
        if snapshot.mig or snapshot.parent is not None:
            return
        if snapshot.energy is None:
            self.ledger.interrupt(snapshot.id)
        else:
            self.ledger.read_counter(snapshot.id, snapshot.at, snapshot.energy)

    # --- metrics -----------------------------------------------------------------------------------------------------

    def observed(self) -> tuple[Observed, ...]:
        """Return the metrics that are read when somebody collects; none of these reads waits for anything."""
        return (
            (names.MEMORY_LEAK, self._leaks),
            (names.GPU_TIME, lambda: _owned(self.ledger.time, 1e9)),
            (names.GPU_ENERGY, lambda: _owned(self.ledger.energy, 1e3)),
            (names.GPU_ENERGY_IDLE, self._idle),
            (names.GPU_COST, self._cost),
            (names.HW_MEMORY_LIMIT, lambda: self._each("memory_total")),
            (names.HW_MEMORY_USAGE, lambda: self._each("memory_used")),
            (names.HW_MEMORY_UTILIZATION, self._memory_utilization),
            (names.HW_UTILIZATION, lambda: self._each("utilization", labels={names.GPU_TASK: "general"})),
            (names.HW_POWER, lambda: self._each("power", labels=_GPU)),
            (names.HW_TEMPERATURE, lambda: self._each("temperature", labels=_GPU)),
            (names.HW_ENERGY, lambda: self._each("energy", 1e3, _GPU)),
            (names.HW_ERRORS, self._errors),
            (names.HW_STATUS, self._status),
            (names.GPU_THROTTLED, self._throttled),
            (names.GPU_PROCESS_MEMORY, lambda: self._each("process_memory")),
        )

    def _leaks(self) -> Iterator[Point]:
        for uuid, rise in self.memory.leaks() if self.memory is not None else ():
            yield rise, {names.HW_ID: uuid}

    def _idle(self) -> Iterator[Point]:
        for device, millijoules in dict(self.ledger.idle).items():
            yield millijoules / 1e3, {names.HW_ID: device}

    def _cost(self) -> Iterator[Point]:
        if price := self._settings.gpu_price:
            for value, labels in _owned(self.ledger.time, 3.6e12):
                yield value * price, {**labels, names.COST_CURRENCY: self._settings.currency}

    def _each(self, what: str, divisor: float | None = None, labels: dict[str, str] | None = None) -> Iterator[Point]:
        for snapshot in self.poller.snapshots():
            value = getattr(snapshot, what)
            if value is not None:
                yield (value if divisor is None else value / divisor), _labels(snapshot, labels)

    def _memory_utilization(self) -> Iterator[Point]:
        for snapshot in self.poller.snapshots():
            if snapshot.memory_total and snapshot.memory_used is not None:
                yield snapshot.memory_used / snapshot.memory_total, _labels(snapshot)

    def _errors(self) -> Iterator[Point]:
        for kind in ("corrected", "uncorrected"):
            yield from self._each(f"ecc_{kind}", labels={**_GPU, names.ERROR_TYPE: kind})

    def _status(self) -> Iterator[Point]:
        for snapshot in self.poller.snapshots():
            for state, is_so in (("ok", not snapshot.lost), ("failed", snapshot.lost)):
                yield int(is_so), _labels(snapshot, {**_GPU, names.HW_STATE: state})

    def _throttled(self) -> Iterator[Point]:
        for snapshot in self.poller.snapshots():
            if (reasons := snapshot.throttling) is not None:
                for reason, bit in THROTTLING.items():
                    yield int(bool(reasons & bit)), _labels(snapshot, {names.REASON: reason})


def _labels(snapshot: Snapshot, more: dict[str, str] | None = None) -> dict[str, str]:
    parent = {names.HW_PARENT: snapshot.parent} if snapshot.parent is not None else {}
    return {names.HW_ID: snapshot.id, **parent, **(more or {})}


def _owned(totals: dict[Owner, float] | dict[Owner, int], divisor: float) -> Iterator[Point]:
    for (engine, model, how), amount in dict(totals).items():
        named = {names.ENGINE: engine, names.MODEL: model, names.ESTIMATE: how}
        yield amount / divisor, {key: value for key, value in named.items() if value is not None}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Everything about devices that a recorder owns: who measures memory, keeps the books, watches health and fallbacks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from otel_tts import names
from otel_tts.device.fallback import FallbackWatch
from otel_tts.device.memory import peak_statistics
from otel_tts.device.memory.out_of_memory import Failures
from otel_tts.device.memory.readings import MemoryEvent, MemoryReading, StageMemory
from otel_tts.device.power import ledger
from otel_tts.device.power.ledger import Ledger, Owner, Span
from otel_tts.device.power.nvml import Snapshot
from otel_tts.device.power.poller import Poller
from otel_tts.device.torch import allocator as devices
from otel_tts.device.torch.allocator import TorchAllocator
from otel_tts.guard import contain, note_fault
from otel_tts.otel_private.context import SPAN_KEY
from otel_tts.record import LateSpan, OpenRequests, PlainSpan, StageRecord
from otel_tts.settings import Settings

_SETTLE_AFTER_NS: Final = 2_000_000_000
"""Times of a device become known a little after their request's end."""
_LOOK_EVERY_NS: Final = 1_000_000_000
_MOST_OPEN: Final = 20_000
_MOST_UNHEARD: Final = 1_000
_DEVICE_CLOCKS: Final = frozenset({"events", "sync"})


class Devices:
    """One for each recorder. `begin` and what `memory` does is on the request's path, the rest is not."""

    def __init__(self, settings: Settings, requests: OpenRequests) -> None:
        self._settings, self._requests = settings, requests
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
        self._unheard: dict[int, dict[tuple[str, str], list[Span]]] = {}
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
        memory = StageMemory(allocator, failures, self._requests)
        contain("gpu.courtesy", peak_statistics.install, allocator.torch, memory.windows)
        contain("gpu.oom", allocator.watch_oom, failures.note)
        self._allocator, self.memory = allocator, memory

    def allow_polling(self) -> None:
        """Let the first look after a request start the NVML thread: a server's master never speaks, and needs none."""
        self._polls = True

    def look(self, open_since: Iterable[int]) -> None:
        """Do what is due now and then; `open_since` are the starts of the requests that are not yet settled."""
        now = time.perf_counter_ns()
        if now - self._looked < _LOOK_EVERY_NS:
            return
        self._looked = now
        if self._begun and self._polls and not self.poller.started:
            self.poller.start()
        if self.memory is not None:
            contain("gpu.memory", self.memory.look)  # a lost device must not keep the books open
        until = min((now - _SETTLE_AFTER_NS, *open_since))
        self.ledger.settle(max(until, now - ledger.LONGEST_WAIT_NS))

    def stop(self) -> None:
        """End the NVML thread and share out what is on the books."""
        self.poller.stop()
        self.ledger.settle(time.perf_counter_ns())
        if self._allocator is not None:
            contain("gpu.courtesy", peak_statistics.uninstall)

    def hold(self) -> None:
        """Let no child inherit the locks of a driver's library in use."""
        self._held = self.poller if self.poller.hold() else None

    def release(self) -> None:
        """Let the NVML thread go on in the parent, after the fork that `hold` stopped it for."""
        held, self._held = self._held, None
        if held is not None:
            held.release()

    def renew(self) -> None:
        """Begin anew in a forked child: CUDA cannot be used there, and the parent reports what it counted."""
        if self._allocator is not None:
            contain("gpu.courtesy", peak_statistics.uninstall)
        self._held, self._begun = None, False
        self._renew()

    # --- finished records ------------------------------------------------------------------------------------------

    def settle_stage(self, stage: StageRecord, mark: Any, late: bool = False) -> list[MemoryEvent]:
        """Say what a finished stage did on the device; the clock has put its times on it.

        `late`: its synthesis has left already, and is charged no more; what its engine does behind its listener is
        charged to the span of that work.
        """
        if not isinstance(mark, MemoryReading) or self.memory is None or mark.after is None:
            return []
        memory, root = self.memory, stage.root
        events = memory.settle_stage(stage, mark, late)
        if late:
            if events and stage.root.attrs.get(names.OUTCOME) == names.Outcome.CANCELLED:
                self._book_unheard(stage, memory.device_of(mark))
            return events
        if events:
            self._book(stage, memory.device_of(mark))
        if not mark.shared and not stage.nested and stage.status is None:
            key = (root.attrs.get(names.ENGINE), root.attrs.get(names.MODEL), stage.stage)
            if self.fallbacks.stage(key, mark.touched, mark.at - mark.began):
                root.attrs[names.DEVICE_FALLBACK] = True
        return events

    def _book(self, stage: StageRecord, device: str | None) -> None:
        if device is None or stage.t1 is None or names.CANARY in stage.root.attrs:  # nobody is charged with a probe
            return
        how = _how(stage)
        if id(stage.root) in self._spans or len(self._spans) < _MOST_OPEN:
            books = self._spans.setdefault(id(stage.root), {})
            books.setdefault((device, how), []).append((stage.t0, stage.t1))

    def _book_unheard(self, stage: StageRecord, device: str | None) -> None:
        root = stage.root
        if device is None or stage.t1 is None or root.t1 is None or names.CANARY in root.attrs:
            return
        books = self._unheard.setdefault(root.identity[1], {})
        books.setdefault((device, _how(stage)), []).append((stage.t0, stage.t1))
        if len(self._unheard) > _MOST_UNHEARD:  # of work that was too short to be told of
            del self._unheard[next(iter(self._unheard))]

    def settle_abandoned(self, span: PlainSpan) -> None:
        """Put on a span of work for nobody the device time and cost of its stages. Its parent is the synthesis."""
        above: Any = span.outside[SPAN_KEY]
        parent: int = above.get_span_context().span_id
        spans = self._unheard.pop(parent, None)
        if not spans:
            return
        attrs, unheard = span.attrs, 0.0
        for (device, how), times in spans.items():
            unheard += self.ledger.share_of(device, ledger.after(times, span.t0), ())
            owner: Owner = (attrs.get(names.ENGINE), attrs.get(names.MODEL), how)
            self.ledger.add(device, parent, owner, times, span.t0)
        attrs[names.ABANDONED_GPU_TIME] = unheard / 1e9
        if price := self._settings.gpu_price:
            attrs[names.ABANDONED_COST] = unheard / 3.6e12 * price
            attrs[names.COST_CURRENCY] = self._settings.currency

    def settle(self, synthesis: LateSpan, others: Iterable[int]) -> list[MemoryEvent]:
        """Put cost and fallback on a finished synthesis; `others` are the starts of the requests now open."""
        attrs = synthesis.attrs
        if self.fallbacks.engine((attrs.get(names.ENGINE), attrs.get(names.MODEL)), attrs.get(names.DEVICE)):
            attrs[names.DEVICE_FALLBACK] = True
        self._charge(synthesis, others)
        return self.memory.settle(synthesis) if self.memory is not None else []

    def _charge(self, synthesis: LateSpan, others: Iterable[int]) -> None:
        spans = self._spans.pop(id(synthesis), None)
        if not spans:
            return
        attrs, now = synthesis.attrs, time.perf_counter_ns()
        beside = [(start, now) for start in others]
        share = unheard = 0.0
        left = (synthesis.t1 or now) - int(attrs.get(names.ABANDONED, 0.0) * 1e9)
        for (device, how), times in spans.items():
            owner: Owner = (attrs.get(names.ENGINE), attrs.get(names.MODEL), how)
            share += self.ledger.share_of(device, times, beside)
            if names.ABANDONED in attrs:
                unheard += self.ledger.share_of(device, ledger.after(times, left), beside)
            self.ledger.add(device, synthesis.identity[1], owner, times, left if names.ABANDONED in attrs else None)
        if names.ABANDONED in attrs:
            attrs[names.ABANDONED_GPU_TIME] = unheard / 1e9
        if price := self._settings.gpu_price:
            attrs[names.COST] = share / 3.6e12 * price
            attrs[names.COST_CURRENCY] = self._settings.currency
            if names.ABANDONED in attrs:
                attrs[names.ABANDONED_COST] = unheard / 3.6e12 * price

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


def _how(stage: StageRecord) -> str:
    """How the stage's time was taken."""
    on_device = stage.attrs.get(names.TIMING_MODE) in _DEVICE_CLOCKS
    return ledger.TIMESHARE if on_device else ledger.TIMESHARE_HOST

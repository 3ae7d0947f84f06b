# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The devices' own metrics: read when somebody collects; none of these reads waits for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from otel_tts import names
from otel_tts.device.devices import Devices
from otel_tts.device.power.ledger import Owner
from otel_tts.device.power.nvml import THROTTLING, Snapshot
from otel_tts.settings import Settings

Point = tuple[float, dict[str, str]]
"""A value and its labels."""
Observed = tuple[names.Metric, Callable[[], Iterable[Point]]]

_GPU: Final = {names.HW_TYPE: "gpu"}


class DeviceMetrics:
    """What the allocator, the books of energy and the driver say at this moment."""

    def __init__(self, devices: Devices, settings: Settings) -> None:
        self._devices, self._settings = devices, settings

    def all(self) -> tuple[Observed, ...]:
        """Return each metric with what reads its points."""
        return (
            (names.MEMORY_LEAK, self._leaks),
            (names.MEMORY_HIGH_WATER, self._high_water),
            (names.GPU_TIME, lambda: _owned(self._devices.ledger.time, 1e9)),
            (names.GPU_ENERGY, lambda: _owned(self._devices.ledger.energy, 1e3)),
            (names.GPU_ENERGY_IDLE, self._idle),
            (names.GPU_COST, lambda: self._cost(self._devices.ledger.time)),
            (names.ABANDONED_GPU, lambda: _owned(self._devices.ledger.unheard_time, 1e9)),
            (names.ABANDONED_ENERGY, lambda: _owned(self._devices.ledger.unheard_energy, 1e3)),
            (names.ABANDONED_MONEY, lambda: self._cost(self._devices.ledger.unheard_time)),
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
        for uuid, watch in self._devices.memory.leaks() if self._devices.memory is not None else ():
            yield watch.bytes_per_request or 0.0, {names.HW_ID: uuid}

    def _high_water(self) -> Iterator[Point]:
        for uuid, watch in self._devices.memory.leaks() if self._devices.memory is not None else ():
            yield watch.high_water, {names.HW_ID: uuid}

    def _idle(self) -> Iterator[Point]:
        for device, millijoules in dict(self._devices.ledger.idle).items():
            yield millijoules / 1e3, {names.HW_ID: device}

    def _cost(self, times: dict[Owner, float]) -> Iterator[Point]:
        if price := self._settings.gpu_price:
            for value, labels in _owned(times, 3.6e12):
                yield value * price, {**labels, names.COST_CURRENCY: self._settings.currency}

    def _each(self, what: str, divisor: float | None = None, labels: dict[str, str] | None = None) -> Iterator[Point]:
        for snapshot in self._devices.poller.snapshots():
            value = getattr(snapshot, what)
            if value is not None:
                yield (value if divisor is None else value / divisor), _labels(snapshot, labels)

    def _memory_utilization(self) -> Iterator[Point]:
        for snapshot in self._devices.poller.snapshots():
            if snapshot.memory_total and snapshot.memory_used is not None:
                yield snapshot.memory_used / snapshot.memory_total, _labels(snapshot)

    def _errors(self) -> Iterator[Point]:
        for kind in ("corrected", "uncorrected"):
            yield from self._each(f"ecc_{kind}", labels={**_GPU, names.ERROR_TYPE: kind})

    def _status(self) -> Iterator[Point]:
        for snapshot in self._devices.poller.snapshots():
            for state, is_so in (("ok", not snapshot.lost), ("failed", snapshot.lost)):
                yield int(is_so), _labels(snapshot, {**_GPU, names.HW_STATE: state})

    def _throttled(self) -> Iterator[Point]:
        for snapshot in self._devices.poller.snapshots():
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

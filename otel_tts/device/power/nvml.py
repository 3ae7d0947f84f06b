# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver says of a GPU, through nvidia-ml-py. Each number is on its own, and absent where it is not known.

Importing this module needs neither the package nor a driver. Calls may hang with the driver, so only the poller's own
thread makes them. NVML's exceptions do not leave this file: they cannot be hashed, and comparing one with another
exception raises.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_NOT_SUPPORTED: Final = 3
_NO_PERMISSION: Final = 4
_DRIVER_NOT_LOADED: Final = 9
_LIBRARY_NOT_FOUND: Final = 12
_FUNCTION_NOT_FOUND: Final = 13
_NEVER: Final = frozenset({_NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND, 25, 26})
"""Answers that will not change: such a question is not asked again. 25, 26: this version of the call is unknown."""
_LOST: Final = frozenset({15, 16})
"""The GPU has fallen off the bus, or needs a reset."""
_GONE: Final = frozenset({1, _DRIVER_NOT_LOADED, 17, 18})
"""Not initialised, driver not loaded, error of the operating system, driver replaced under a running process."""

_TEMPERATURE_SENSOR: Final = 0
_CORRECTED, _UNCORRECTED, _VOLATILE = 0, 1, 0
_ALL_BITS: Final = 2**64 - 1
_MOST_WATTS: Final = 20_000
_MOST_DEGREES: Final = 200
_MOST_BYTES: Final = 1 << 50
_MOST_MIG: Final = 16

THROTTLING: Final = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
"""Reasons for lower clocks that an operator can do something about, with NVML's bits."""


class Unavailable(Exception):
    """There is no NVML to ask. `final`: not in this process's life, since package or library are missing."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Lost(Exception):
    """One device has fallen off the bus."""


@dataclass(frozen=True)
class Gpu:
    """A device to look at: a GPU, or with `parent` (the GPU's UUID) a MIG instance of it. `asked` is its handle."""

    id: str
    handle: Any = field(repr=False, compare=False)
    parent: str | None = None
    mig: bool = False
    """Cut into MIG instances."""


@dataclass(frozen=True)
class Snapshot:
    """One look. `at` is perf_counter_ns; bytes, watts, degrees Celsius, mJ since the driver was loaded, 0..1."""

    id: str
    at: int
    parent: str | None = None
    mig: bool = False
    lost: bool = False
    memory_total: int | None = None
    memory_used: int | None = None
    utilization: float | None = None
    power: float | None = None
    temperature: int | None = None
    energy: int | None = None
    throttling: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    process_memory: int | None = None


class Nvml:
    """An initialised NVML. Raises `Unavailable` where there is none, and later when the driver goes away."""

    def __init__(self) -> None:
        try:
            self._n: Any = importlib.import_module("pynvml")
        except Exception as error:
            raise Unavailable(f"nvidia-ml-py cannot be imported ({type(error).__name__})", final=True) from None
        try:
            self._n.nvmlInit()
        except Exception as error:
            code = getattr(error, "value", None)
            # Without a code it is none of NVML's: the package is another one, or too old for this library.
            raise Unavailable(_in_words(error), final=code in (None, _LIBRARY_NOT_FOUND)) from None
        self.rejected = 0
        """Answers that cannot be true."""
        self._dead: set[tuple[str, str]] = set()
        self._last_energy: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        """Give up this initialisation; others in the process keep theirs."""
        try:
            self._n.nvmlShutdown()
        except Exception:
            pass

    # --- which ---------------------------------------------------------------------------------------------------

    def gpus(self, wanted: Sequence[str] | None = None) -> list[Gpu]:
        """Return the GPUs, and the MIG instances, that are `wanted`: UUIDs or their beginnings, or indices; None: all.

        A UUID is the only name that survives CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER and MIG.
        """
        every = list(self._every_gpu())
        if wanted is None:
            return every
        chosen: dict[str, Gpu] = {}
        whole = [gpu for gpu in every if gpu.parent is None]
        for name in wanted:
            if name.isdecimal():
                found = whole[int(name) : int(name) + 1]
                found += [gpu for gpu in every if found and gpu.parent == found[0].id]
            else:
                found = [gpu for gpu in every if gpu.id.startswith((name, f"GPU-{name}", f"MIG-{name}"))]
                found += [gpu for gpu in whole if any(gpu.id == instance.parent for instance in found)]
            chosen |= {gpu.id: gpu for gpu in found}
        return list(chosen.values())

    def _every_gpu(self) -> Iterator[Gpu]:
        count = self._ask("", "count", self._n.nvmlDeviceGetCount)
        for index in range(count or 0):
            try:
                handle = self._ask("", f"handle {index}", self._n.nvmlDeviceGetHandleByIndex, index)
                gpu = self._gpu(handle, None)
            except Lost:
                continue
            if gpu is not None:
                yield gpu
                if gpu.mig:
                    yield from self._instances(gpu)

    def _gpu(self, handle: Any, parent: str | None) -> Gpu | None:
        uuid = None if handle is None else self._ask("", "uuid", self._n.nvmlDeviceGetUUID, handle)
        if uuid is None:
            return None
        uuid = uuid.decode() if isinstance(uuid, bytes) else str(uuid)
        mode = None if parent is not None else self._call(uuid, "nvmlDeviceGetMigMode", handle)
        return Gpu(uuid, handle, parent, bool(mode and mode[0]))

    def _instances(self, gpu: Gpu) -> Iterator[Gpu]:
        count = self._call(gpu.id, "nvmlDeviceGetMaxMigDeviceCount", gpu.handle)
        for index in range(min(count or 0, _MOST_MIG)):
            handle = self._ask("", "mig", self._n.nvmlDeviceGetMigDeviceHandleByIndex, gpu.handle, index)
            instance = self._gpu(handle, gpu.id)
            if instance is not None:
                yield instance

    # --- what ----------------------------------------------------------------------------------------------------

    def look(self, gpu: Gpu) -> Snapshot:
        """Ask everything of one device. A MIG instance has memory; power, energy and the rest are its parent's."""
        at = time.perf_counter_ns()
        try:
            found = self._memory(gpu)
            found["process_memory"] = self._process_memory(gpu)
            if gpu.parent is None:
                found |= self._health(gpu)
        except Lost:
            return Snapshot(gpu.id, at, gpu.parent, gpu.mig, lost=True)
        return Snapshot(gpu.id, at, gpu.parent, gpu.mig, **found)

    def _memory(self, gpu: Gpu) -> dict[str, Any]:
        version = getattr(self._n, "nvmlMemory_v2", None)
        memory = None
        if version is not None:  # in the first version `used` contains what the driver reserves
            memory = self._call(gpu.id, "nvmlDeviceGetMemoryInfo", gpu.handle, version, key="memory v2")
        memory = memory or self._call(gpu.id, "nvmlDeviceGetMemoryInfo", gpu.handle)
        if memory is None:
            return {}
        total, used = int(memory.total), int(memory.used)
        if not (0 < total <= _MOST_BYTES and 0 <= used <= total):
            self.rejected += 1
            return {}
        return {"memory_total": total, "memory_used": used}

    def _health(self, gpu: Gpu) -> dict[str, Any]:
        ask = self._call
        rates = None if gpu.mig else ask(gpu.id, "nvmlDeviceGetUtilizationRates", gpu.handle)
        power = self._plausible(ask(gpu.id, "nvmlDeviceGetPowerUsage", gpu.handle), _MOST_WATTS * 1000)
        utilization = self._plausible(rates.gpu if rates is not None else None, 100)
        name = "nvmlDeviceGetCurrentClocksEventReasons"
        if not hasattr(self._n, name):
            name = "nvmlDeviceGetCurrentClocksThrottleReasons"
        ecc = "nvmlDeviceGetTotalEccErrors"
        return {
            "utilization": None if utilization is None else utilization / 100,
            "power": None if power is None else power / 1000,
            "temperature": self._plausible(
                ask(gpu.id, "nvmlDeviceGetTemperature", gpu.handle, _TEMPERATURE_SENSOR), _MOST_DEGREES
            ),
            "energy": self._energy(gpu),
            "throttling": self._plausible(ask(gpu.id, name, gpu.handle), _ALL_BITS - 1),
            "ecc_corrected": self._plausible(
                ask(gpu.id, ecc, gpu.handle, _CORRECTED, _VOLATILE, key="corrected"), _ALL_BITS - 1
            ),
            "ecc_uncorrected": self._plausible(
                ask(gpu.id, ecc, gpu.handle, _UNCORRECTED, _VOLATILE, key="uncorrected"), _ALL_BITS - 1
            ),
        }

    def _energy(self, gpu: Gpu) -> int | None:
        """Return the counter, unless it moved by more than any GPU can draw. Going back means a reloaded driver."""
        counter = self._plausible(self._call(gpu.id, "nvmlDeviceGetTotalEnergyConsumption", gpu.handle), _ALL_BITS - 1)
        if counter is None:
            return None
        now = time.perf_counter_ns()
        before = self._last_energy.get(gpu.id)
        self._last_energy[gpu.id] = (now, counter)
        # A second of grace: the counter moves in steps.
        if before is not None and counter - before[1] > _MOST_WATTS * 1000 * ((now - before[0]) / 1e9 + 1):
            self.rejected += 1
            return None
        return counter

    def _process_memory(self, gpu: Gpu) -> int | None:
        processes = self._call(gpu.id, "nvmlDeviceGetComputeRunningProcesses", gpu.handle)
        if processes is None or (gpu.mig and gpu.parent is None):
            return None
        used = own_memory([(process.pid, process.usedGpuMemory) for process in processes])
        return self._plausible(used, _MOST_BYTES)

    def _plausible(self, value: Any, highest: int) -> int | None:
        if value is None:
            return None
        if isinstance(value, int) and 0 <= value <= highest:
            return value
        self.rejected += 1
        return None

    # --- asking --------------------------------------------------------------------------------------------------

    def _call(self, device: str, name: str, *args: Any, key: str = "") -> Any:
        function = getattr(self._n, name, None)
        return None if function is None else self._ask(device, key or name, function, *args)

    def _ask(self, device: str, key: str, function: Callable[..., Any], *args: Any) -> Any:
        if (device, key) in self._dead:
            return None
        try:
            return function(*args)
        except Exception as error:
            code = getattr(error, "value", None)
            reason = _in_words(error)
        if code in _LOST:
            raise Lost
        if code in _GONE:
            raise Unavailable(reason)
        # A symbol that this library lacks is reported by an exception of another family, without a code.
        if device and (code in _NEVER or code is None):
            self._dead.add((device, key))
        return None


def own_memory(processes: Sequence[tuple[int, int | None]], status: str = "/proc/self/status") -> int | None:
    """Return this process's bytes. In a container the driver speaks of the host's pids: then only a lone process is us.

    https://github.com/NVIDIA/nvidia-docker/issues/1483
    """
    mine = {os.getpid()}
    try:
        with open(status, encoding="ascii", errors="replace") as lines:
            mine.update(int(pid) for line in lines if line.startswith("NSpid:") for pid in line.split()[1:])
    except (OSError, ValueError):
        pass
    for pid, used in processes:
        if pid in mine:
            return used
    return processes[0][1] if len(processes) == 1 else None


def _in_words(error: BaseException) -> str:
    """Return what went wrong in words: NVML's exceptions do not leave this file."""
    return f"{type(error).__name__}: {error}"

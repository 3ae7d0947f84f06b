# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""As much of torch as memory needs, over the device in virtual time; it calls by global names, as torch does."""

from __future__ import annotations

import types
from types import SimpleNamespace
from typing import Any

from tests.unit.support.fakecuda import FakeCuda, OutOfMemoryError, VirtualClock

# As torch/cuda/memory.py: everything that reads goes through memory_stats_as_nested_dict, looked up in the module.
MEMORY = """
def memory_stats_as_nested_dict(device=None):
    if not is_initialized():
        return {}
    return _stats(_index(device))

def memory_stats(device=None):
    flat = {}
    def add(prefix, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                add(prefix + [key], inner)
        else:
            flat[".".join(prefix)] = value
    add([], memory_stats_as_nested_dict(device=device))
    return flat

def max_memory_allocated(device=None):
    return memory_stats(device=device).get("allocated_bytes.all.peak", 0)

def max_memory_reserved(device=None):
    return memory_stats(device=device).get("reserved_bytes.all.peak", 0)

def reset_peak_memory_stats(device=None):
    return _reset(_index(device))

def reset_max_memory_allocated(device=None):
    return reset_peak_memory_stats(device=device)
"""
PUBLIC = (
    "memory_stats_as_nested_dict", "memory_stats", "max_memory_allocated", "max_memory_reserved",
    "reset_peak_memory_stats", "reset_max_memory_allocated",
)  # fmt: skip


class Joined(VirtualClock):
    """The device's host clock is the one that the records read."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        super().__init__()

    @property
    def t(self) -> int:
        return self._clock.ns

    @t.setter
    def t(self, ns: int) -> None:
        self._clock.ns = max(self._clock.ns, ns)


class Device(FakeCuda):
    """On the records' clock."""

    def __init__(self, clock: Any, devices: int = 1) -> None:
        super().__init__(Joined(clock), devices=devices)


class FakeTorch(types.ModuleType):
    def __init__(self, device: FakeCuda) -> None:
        super().__init__("torch")
        self.under = device
        self.OutOfMemoryError = OutOfMemoryError
        memory: Any = types.ModuleType("torch.cuda.memory")
        memory.is_initialized = lambda: device.initialized and not device.forked
        memory._stats = lambda index: device.devs[index].mem.nested()
        memory._reset = lambda index: device.devs[index].mem.reset_peak()
        memory._index = lambda given: given if isinstance(given, int) else self.device(given).index or 0
        exec(MEMORY, vars(memory))
        self.cuda: Any = types.ModuleType("torch.cuda")
        self.cuda.memory = memory
        self.cuda.is_initialized = memory.is_initialized
        self.cuda.current_device = lambda: device.cur_dev
        self.cuda.device_count = lambda: len(device.devs)
        self.cuda.empty_cache = lambda: [one.mem.empty_cache() for one in device.devs] and None
        self.cuda.get_device_properties = lambda index: SimpleNamespace(
            name="NVIDIA Stub H100", uuid=device.devs[index].uuid
        )
        for name in PUBLIC:
            setattr(self.cuda, name, getattr(memory, name))
        self.version = SimpleNamespace(cuda=None, hip=None)  # for clocks there is no device here
        self._C = SimpleNamespace(_cuda_attach_out_of_memory_observer=device.observers.append)

    def device(self, name: Any) -> Any:
        if isinstance(name, SimpleNamespace):
            return name
        text = str(name)
        return SimpleNamespace(index=int(text.rpartition(":")[2]) if ":" in text else None)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's caching allocator, if the application uses it: the only place where torch is touched for memory.

Reading the statistics needs no synchronisation, since the accounting is on the host. Everything is behind
``is_initialized()``: most of torch.cuda would initialise CUDA when asked, and a process may still have to fork.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from otel_tts.guard import contain
from otel_tts.patches import original

Stats = dict[str, Any]
"""``memory_stats_as_nested_dict``: nested by statistic, pool and kind, as ``["allocated_bytes"]["all"]["peak"]``."""
OomObserver = Callable[[int, int, int, int], None]
"""Called with the device, the bytes asked for, the device's (or the limit's) bytes, and those that are free."""

_OUT_OF_MEMORY: Final = "OutOfMemoryError"


class Allocator(Protocol):
    """What is needed of a caching allocator."""

    def stats(self, device: int, /) -> Stats:
        """Return the statistics of a device; empty where there are none."""
        ...

    def reset_peaks(self, device: int, /) -> None:
        """Set every peak of a device to its present value."""

    def holding(self) -> tuple[int, ...]:
        """Return the devices that hold memory, else the current one; empty where CUDA is not in use."""
        ...

    def uuid(self, device: int) -> str | None:
        """Return the device's name in ``hw.id``."""
        ...


def find() -> TorchAllocator | None:
    """Return torch's allocator once the application has initialised CUDA in this process, None before."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():  # False in a child forked after CUDA was used, too
        return None
    return TorchAllocator(torch)


class TorchAllocator:
    """torch.cuda's. Made only after `find` saw that CUDA is initialised."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.memory = torch.cuda.memory
        # Their own functions, not what `peak_statistics` puts in their place. ``memory_stats`` would flatten and sort
        # 130 numbers: 60 microseconds.
        self.stats: Callable[[int], Stats] = original(self.memory, "memory_stats_as_nested_dict")
        self.reset_peaks: Callable[[int], None] = original(self.memory, "reset_peak_memory_stats")
        self._uuids: dict[int, str | None] = {}

    def current(self) -> int:
        """Return the current device of this thread."""
        return self.torch.cuda.current_device()

    def count(self) -> int:
        """Return how many devices this process sees."""
        return self.torch.cuda.device_count()

    def holding(self) -> tuple[int, ...]:
        """Return the devices on which the application holds memory, else the current one."""
        found = tuple(device for device in range(self.count()) if self._reserved(device))
        return found or (self.current(),)

    def _reserved(self, device: int) -> int:
        stats = contain("gpu.stats", self.stats, device)
        return stats["reserved_bytes"]["all"]["current"] if stats else 0

    def uuid(self, device: int) -> str | None:
        """Return the UUID as NVML writes it, or None for a torch that does not tell it."""
        if device not in self._uuids:
            self._uuids[device] = contain("gpu.uuid", self._ask_uuid, device)
        return self._uuids[device]

    def _ask_uuid(self, device: int) -> str | None:
        properties = self.torch.cuda.get_device_properties(device)
        uuid = getattr(properties, "uuid", None)
        if uuid is None:
            return None
        kind = "MIG" if " MIG " in f"{properties.name} " else "GPU"
        return str(uuid) if str(uuid).startswith(("GPU-", "MIG-")) else f"{kind}-{uuid}"

    def watch_oom(self, observer: OomObserver) -> bool:
        """Let `observer` hear of failed allocations, those that are caught and tried again too. It stays for good.

        Private in torch, absent in builds without CUDA; there is no public way to the numbers at that moment.
        """
        attach = getattr(self.torch._C, "_cuda_attach_out_of_memory_observer", None)
        if attach is None:
            return False
        attach(observer)
        return True


def is_out_of_memory(error: str | BaseException | None) -> bool:
    """Say whether an exception, or an exception's qualified class name, is torch's for want of device memory."""
    if isinstance(error, BaseException):
        return any(kind.__name__ == _OUT_OF_MEMORY and kind.__module__ != "builtins" for kind in type(error).__mro__)
    return error is not None and error.rpartition(".")[2] == _OUT_OF_MEMORY


def visible(environ: Any = None) -> tuple[str, ...] | None:
    """Return the UUIDs or indices of CUDA_VISIBLE_DEVICES: empty for no device, None where all may be used."""
    text = (os.environ if environ is None else environ).get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    named: list[str] = []
    for part in text.split(","):
        part = part.strip()
        if not part or part.startswith("-"):  # CUDA ignores everything from the first invalid one on
            break
        named.append(part)
    return tuple(named)

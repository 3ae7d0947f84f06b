# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The application's own peak statistics stay what they would be without us, and its resets do not spoil ours.

The allocator has one peak per device, and `peaks` resets it at every stage's edge. So the two functions of torch that
all others go through are wrapped: the one that reads (``max_memory_allocated``, ``memory_stats``, ``memory_summary``
call it) gets back what our resets have wiped, the one that resets lets the open windows take note first. What goes
around them, ``torch.accelerator.max_memory_allocated`` or C++ code, sees the peak since the last stage's edge, and so
does who reads other peaks than those of the allocated and the reserved bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from otel_tts.device.memory.peaks import PeakWindows
from otel_tts.device.torch.allocator import Stats
from otel_tts.guard import contain
from otel_tts.patches import is_patched, put, undo

_READ = "memory_stats_as_nested_dict"
_RESET = "reset_peak_memory_stats"

_GROUP: Final = "gpu.courtesy"

Lookup = Callable[[int], "PeakWindows | None"]


def install(torch: Any, windows: Lookup) -> None:
    """Wrap both in torch.cuda, where they are looked up by name, and in torch.cuda.memory. `windows` by device."""
    uninstall()
    memory = torch.cuda.memory
    for name, wrap in ((_READ, _wrap_read), (_RESET, _wrap_reset)):
        if is_patched(memory, name):
            continue
        original = getattr(memory, name)
        wrapper = wrap(original, torch, windows)
        for module in (memory, torch.cuda):
            if getattr(module, name, None) is original:
                put(module, name, wrapper, _GROUP)


def uninstall() -> None:
    """Put torch's own functions back."""
    undo(_GROUP)


def _wrap_read(original: Callable[..., Stats], torch: Any, windows: Lookup) -> Callable[..., Stats]:
    @functools.wraps(original)
    def memory_stats_as_nested_dict(device: Any = None) -> Stats:
        stats = original(device)
        if stats:
            contain("gpu.courtesy", _give_back, stats, torch, device, windows)
        return stats

    return memory_stats_as_nested_dict


def _wrap_reset(original: Callable[..., None], torch: Any, windows: Lookup) -> Callable[..., None]:
    @functools.wraps(original)
    def reset_peak_memory_stats(device: Any = None) -> None:
        contain("gpu.courtesy", _note_first, torch, device, windows)
        return original(device)

    return reset_peak_memory_stats


def _give_back(stats: Stats, torch: Any, device: Any, windows: Lookup) -> None:
    found = windows(_index(torch, device))
    for name, peak in found.taken().items() if found is not None else ():
        level = stats[name]["all"]
        level["peak"] = max(level["peak"], peak)


def _note_first(torch: Any, device: Any, windows: Lookup) -> None:
    if torch.cuda.is_initialized():
        found = windows(_index(torch, device))
        if found is not None:
            found.before_reset()


def _index(torch: Any, device: Any) -> int:
    if isinstance(device, int):
        return device
    index = None if device is None else torch.device(device).index
    return torch.cuda.current_device() if index is None else index

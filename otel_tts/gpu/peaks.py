# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Exact peaks of memory for windows that nest and overlap, though the allocator has one peak per device.

At every window's edge the peak since the last edge is folded into all open windows and then reset. What the reset takes
from the application is kept in `taken`, so that its own ``max_memory_allocated`` can stay what it would have been.

Left open: a peak that rises and falls between our own read and reset, a few microseconds.
"""

from __future__ import annotations

import threading
from typing import Final

from otel_tts.gpu.devices import Allocator, Stats

_MOST_WINDOWS: Final = 4096
"""Stages that never end (an abandoned generator) must not pile up."""
TAKEN: Final = ("allocated_bytes", "reserved_bytes", "active_bytes", "requested_bytes")


class Window:
    """One stage's stretch of time. `peak` is in bytes; `whole` is False where another's reset hid a part of it."""

    __slots__ = ("peak", "whole")

    def __init__(self) -> None:
        self.peak, self.whole = 0, True


class PeakWindows:
    """The windows of one device. Safe from any thread."""

    def __init__(self, allocator: Allocator, device: int) -> None:
        self.device = device
        self.taken: dict[str, int] = {}
        """Peaks that our resets have wiped since the application's last reset, by statistic."""
        self._stats, self._reset = allocator.stats, allocator.reset_peaks
        self._lock = threading.Lock()
        self._open: dict[Window, None] = {}
        self._last = 0

    def enter(self) -> tuple[Window, Stats]:
        """Open a window; return it with the statistics at its start."""
        window = Window()
        with self._lock:
            stats = self._edge()
            window.peak = self._last
            if len(self._open) >= _MOST_WINDOWS:
                oldest = next(iter(self._open))
                oldest.whole = False
                del self._open[oldest]
            self._open[window] = None
            return window, stats

    def exit(self, window: Window) -> Stats:
        """Close a window; return the statistics at its end."""
        with self._lock:
            stats = self._edge()
            self._open.pop(window, None)
            return stats

    def before_reset(self) -> None:
        """The application is about to reset the peaks: keep what they were for the open windows."""
        with self._lock:
            self._edge()
            self.taken.clear()

    def _edge(self) -> Stats:
        stats = self._stats(self.device)
        level = stats["allocated_bytes"]["all"]
        peak, current = level["peak"], level["current"]
        if peak < self._last:  # a peak only falls by a reset that passed us by: what was before it is not known
            for window in self._open:
                window.whole = False
        for window in self._open:
            if peak > window.peak:
                window.peak = peak
        if peak > current:
            self._keep(stats)
            self._reset(self.device)
        self._last = current
        return stats

    def _keep(self, stats: Stats) -> None:
        taken = self.taken
        for name in TAKEN:
            level = stats.get(name)
            if level is not None and level["all"]["peak"] > taken.get(name, 0):
                taken[name] = level["all"]["peak"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Exact peaks of memory for windows that nest and overlap, though the allocator has one peak per device.

At every window's edge the peak since the last edge is folded into all open windows and then reset. What the reset takes
from the application is kept, so that its own ``max_memory_allocated`` can stay what it would have been.

Left open: a peak that rises and falls between our own read and reset, a few microseconds.
"""

from __future__ import annotations

import threading
from typing import Final

from otel_tts.device.torch.allocator import Allocator, Stats

_MOST_WINDOWS: Final = 4096
"""Stages that never end (an abandoned generator) must not pile up."""


class PeakWindow:
    """One stage's stretch of time. `peak` is in bytes; `whole` is False where another's reset hid a part of it."""

    __slots__ = ("peak", "whole")

    peak: int
    whole: bool
    """True where it is opened; whoever makes the window says so, which saves a call on the request's path."""


class PeakWindows:
    """The windows of one device. Safe from any thread."""

    def __init__(self, allocator: Allocator, device: int) -> None:
        self.device = device
        self._taken_allocated = self._taken_reserved = 0
        self._stats, self._reset = allocator.stats, allocator.reset_peaks
        self._lock = threading.RLock()  # a collection inside may end an abandoned stream, and with it a stage
        self._open: dict[PeakWindow, None] = {}
        self._last = 0

    def before_reset(self) -> None:
        """The application is about to reset the peaks: keep what they were for the open windows."""
        self.edge(None)
        self._taken_allocated = self._taken_reserved = 0

    def taken(self) -> dict[str, int]:
        """Return the peaks that our resets have wiped since the application's last reset, by statistic."""
        return {"allocated_bytes": self._taken_allocated, "reserved_bytes": self._taken_reserved}

    def edge(self, window: PeakWindow | None) -> Stats:
        """Open `window`, or close it where it is open; return the statistics at this moment.

        On the request's path twice a stage, so it is one function with few names to look up.
        """
        with self._lock:
            stats = self._stats(self.device)
            level = stats["allocated_bytes"]["all"]
            peak, current = level["peak"], level["current"]
            windows = self._open
            if peak < self._last:  # a peak only falls by a reset that passed us by: what was before it is not known
                for each in windows:
                    each.whole = False
            for each in windows:
                if peak > each.peak:
                    each.peak = peak
            if peak > current:
                if peak > self._taken_allocated:
                    self._taken_allocated = peak
                reserved = stats["reserved_bytes"]["all"]["peak"]
                if reserved > self._taken_reserved:
                    self._taken_reserved = reserved
                self._reset(self.device)
            self._last = current
            if window in windows:
                del windows[window]
            elif window is not None:
                window.peak = current
                windows[window] = None
                if len(windows) > _MOST_WINDOWS:
                    self._drop_oldest()
            return stats

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._open))
        oldest.whole = False  # closing it will open it once more, for nobody: it is dropped again in its turn
        del self._open[oldest]

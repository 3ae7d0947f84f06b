# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Device time and energy, shared out fairly among requests. An estimate, and what was measured is conserved exactly.

The energy counter moves in steps of about 100 ms, so the difference around one request is noise. Instead: windows of at
least a second between two steps; the device's idle draw is kept apart; the rest goes to the requests by their device
time in the window, and where n overlap each gets 1/n of that time. Kernels differ in power, and other processes on the
same device are not seen: fair over many requests, rough for a single one.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

LEAST_WINDOW_NS: Final = 1_000_000_000
"""Shortest window: the error of a step at each end stays a small part of it."""
LONGEST_WAIT_NS: Final = 3600_000_000_000
"""Time that a window waits for the requests in it to end."""
_MOST_KEPT: Final = 20_000
_MOST_KEYS: Final = 2_000
TIMESHARE: Final = "timeshare"
"""Energy by the share of a device's time."""
TIMESHARE_HOST: Final = "timeshare_host"
"""Energy by the share of time on the host's clock: only roughly the device's time."""

Owner = tuple[str | None, str | None, str]
"""What is charged: engine, model, and how the time was taken."""
Interval = tuple[int, int, int, Owner]
"""Start and end (ns on the host's clock), the request, its owner. A request without a listener is below zero."""
Span = tuple[int, int]


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Share `total` by `weights` into whole numbers whose sum is `total`, each less than one off its exact share."""
    whole = sum(weights)
    given, reached = 0, 0.0
    shares: list[int] = []
    for weight in weights:
        reached += weight
        upto = total if reached >= whole else round(total * reached / whole)
        shares.append(upto - given)
        given = upto
    if shares and given != total:  # weights whose running sum falls short of their sum by rounding
        shares[-1] += total - given
    return shares


def union(spans: Iterable[Span]) -> list[Span]:
    """Return `spans` as they cover time: ordered, without overlaps."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def after(spans: Iterable[Span], left: int) -> list[Span]:
    """Return what lies after `left` of each of `spans`."""
    return [(max(left, start), end) for start, end in spans if end > left]


def fair_shares(intervals: Iterable[Interval], start: int, end: int) -> tuple[dict[tuple[int, Owner], float], float]:
    """Return the fair share of each request in ns between `start` and `end`, and the ns in which any was active."""
    edges: list[tuple[int, int, tuple[int, Owner]]] = []
    for first, last, request, owner in intervals:
        first, last = max(first, start), min(last, end)
        if last > first:
            edges += [(first, 1, (request, owner)), (last, -1, (request, owner))]
    edges.sort(key=lambda edge: edge[0])
    live: collections.Counter[tuple[int, Owner]] = collections.Counter()
    shares: dict[tuple[int, Owner], float] = {}
    busy, last = 0.0, start
    for at, change, who in edges:
        if live and at > last:
            busy += at - last
            each = (at - last) / len({request for request, _ in live})
            for key, _ in _one_owner_each(live):
                shares[key] = shares.get(key, 0.0) + each
        last = at
        live[who] += change
        if not live[who]:
            del live[who]
    return shares, busy


def _one_owner_each(live: Mapping[tuple[int, Owner], int]) -> Iterable[tuple[tuple[int, Owner], int]]:
    """A request with stages on both clocks at once counts once, on the device's."""
    chosen: dict[int, tuple[tuple[int, Owner], int]] = {}
    for key, count in live.items():
        if key[0] not in chosen or key[1][2] == TIMESHARE:
            chosen[key[0]] = (key, count)
    return chosen.values()


class CounterWindows:
    """Closes a window when the counter has moved and `least` ns have passed since the last one."""

    def __init__(self, least: int = LEAST_WINDOW_NS) -> None:
        self._least = least
        self._start: tuple[int, int] | None = None
        self._last: int | None = None

    def add(self, at: int, counter: int) -> tuple[int, int, int] | None:
        """Take a reading (ns, mJ); return a window that it closes: start, end, mJ."""
        last, self._last = self._last, counter
        if last is None or counter == last:
            return None
        if self._start is None or counter < self._start[1]:  # begin at a step, not in its middle; anew after a reload
            self._start = (at, counter)
            return None
        start, low = self._start
        if at - start < self._least:
            return None
        self._start = (at, counter)
        return start, at, counter - low

    def open_from(self, otherwise: int) -> int:
        """Return where the open window began, `otherwise` where none is open."""
        return self._start[0] if self._start is not None else otherwise

    def restart(self) -> None:
        """Forget the open window: readings are missing, or another process's."""
        self._start = self._last = None


@dataclass
class Device:
    """One device's books: its energy counter, and the requests' times on it that are not shared out yet."""

    counter: CounterWindows = field(default_factory=CounterWindows)
    intervals: list[Interval] = field(default_factory=list[Interval])
    windows: collections.deque[tuple[int, int, int]] = field(
        default_factory=lambda: collections.deque[tuple[int, int, int]](maxlen=_MOST_KEPT)
    )
    settled: int | None = None
    """Up to where device time has been shared out, ns."""
    idle_mw: float | None = None
    """The lowest draw seen while no request was active, in mJ/s."""


class Ledger:
    """The books of all devices: device time in ns and energy in mJ, by owner. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._devices: dict[str, Device] = {}
        self.time: dict[Owner, float] = {}
        self.energy: dict[Owner, int] = {}
        self.unheard_time: dict[Owner, float] = {}
        self.unheard_energy: dict[Owner, int] = {}
        """Of `time` and `energy` the part after the listener had left."""
        self.idle: dict[str, int] = {}
        self.lost = 0
        """Windows and intervals that the bounds made us forget."""

    def read_counter(self, device: str, at: int, millijoules: int) -> None:
        """Take a reading of a device's energy counter."""
        with self._lock:
            books = self._books(device)
            window = books.counter.add(at, millijoules)
            if window is not None:
                if len(books.windows) == _MOST_KEPT:
                    self._give_to_idle(device, books.windows.popleft()[2])
                books.windows.append(window)

    def interrupt(self, device: str) -> None:
        """Readings of a device are missing from here on."""
        with self._lock:
            self._books(device).counter.restart()

    def add(self, device: str, request: int, owner: Owner, spans: Iterable[Span], left: int | None = None) -> None:
        """Take the device time of a finished request; from `left` on (ns) there was no listener any more."""
        if left is not None:
            spans = list(spans)
            self.add(device, -request, owner, after(spans, left))
            spans = [(start, min(left, end)) for start, end in spans if start < left]
        with self._lock:
            books = self._books(device)
            for start, end in union(spans):
                if len(books.intervals) >= _MOST_KEPT:
                    self.lost += 1
                    return
                books.intervals.append((start, end, request, owner))

    def settle(self, until: int) -> None:
        """Share out everything before `until`: no request that was active by then is still to come."""
        with self._lock:
            for device, books in self._devices.items():
                self._settle_time(books, until)
                while books.windows and books.windows[0][1] <= until:
                    self._settle_energy(device, books, *books.windows.popleft())
                self._forget(books, until)

    def share_of(self, device: str, spans: Sequence[Span], others: Iterable[Span]) -> float:
        """Return the ns that `spans` count for beside what is booked and `others`: for one request, at its end."""
        mine = union(spans)
        if not mine:
            return 0.0
        me: Owner = (None, None, TIMESHARE)
        with self._lock:
            intervals = list(self._books(device).intervals)
        intervals += [(start, end, -2 - i, me) for i, (start, end) in enumerate(others)]
        intervals += [(start, end, -1, me) for start, end in mine]
        shares, _ = fair_shares(intervals, mine[0][0], mine[-1][1])
        return shares.get((-1, me), 0.0)

    # --- inside the lock ---------------------------------------------------------------------------------------------

    def _books(self, device: str) -> Device:
        return self._devices.setdefault(device, Device())

    def _settle_time(self, books: Device, until: int) -> None:
        if not books.intervals:
            return
        start = min(interval[0] for interval in books.intervals)
        start = start if books.settled is None else max(start, books.settled)
        if until <= start:
            return
        shares, _ = fair_shares(books.intervals, start, until)
        for (request, owner), nanoseconds in shares.items():
            _add(self.time, owner, nanoseconds)
            if request < 0:
                _add(self.unheard_time, owner, nanoseconds)
        books.settled = until

    def _settle_energy(self, device: str, books: Device, start: int, end: int, millijoules: int) -> None:
        shares, busy = fair_shares(books.intervals, start, end)
        seconds = (end - start) / 1e9
        if busy <= 0:
            rate = millijoules / seconds
            books.idle_mw = rate if books.idle_mw is None else min(rate, books.idle_mw)
            self._give_to_idle(device, millijoules)
            return
        # As long as the idle draw is not known, the time in which nobody was active stands for it.
        idle = books.idle_mw * seconds if books.idle_mw is not None else millijoules * (1 - busy / (end - start))
        base = min(millijoules, round(idle))
        self._give_to_idle(device, base)
        parts = apportion(millijoules - base, list(shares.values()))
        for (request, owner), part in zip(shares, parts, strict=True):
            _add(self.energy, owner, part)
            if request < 0:
                _add(self.unheard_energy, owner, part)

    def _give_to_idle(self, device: str, millijoules: int) -> None:
        self.idle[device] = self.idle.get(device, 0) + millijoules

    @staticmethod
    def _forget(books: Device, until: int) -> None:
        """Drop the intervals that no window still to come can meet."""
        open_from = min((window[0] for window in books.windows), default=until)
        limit = min(until, open_from, books.counter.open_from(until))
        books.intervals = [interval for interval in books.intervals if interval[1] > limit]


def _add(totals: dict[Owner, float] | dict[Owner, int], owner: Owner, amount: float) -> None:
    if owner not in totals and len(totals) >= _MOST_KEYS:
        owner = (None, None, owner[2])
    totals[owner] = totals.get(owner, 0) + amount  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`counts` of files: one pass over all of them, whatever is asked; what is held does not grow with their size."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from otel_tts.readers import otlp_json
from otel_tts.readers.files import Folder
from otel_tts.readers.growth import Counted, Counts, Labels, Presence, Tally, hour_of
from otel_tts.readers.model import Gap, Point

_AHEAD_NS: Final = 300 * 10**9
"""A point that is this far in the future has a clock that is wrong."""


class Counting:
    """Takes points, one after the other, in any order."""

    def __init__(self, asked: Sequence[Counted], presences: Sequence[Presence], times: Sequence[int]) -> None:
        self._asked, self._presences, self._times = asked, presences, times
        self._tallies = [Tally(times) for _ in asked]
        self._seen: list[dict[Labels, set[int]]] = [defaultdict(set) for _ in presences]
        self._takers: dict[str, list[Callable[[Point, str], None]]] = defaultdict(list)
        for one, tally in zip(asked, self._tallies, strict=True):
            self._takers[one.metric.name].append(self._counter(one, tally))
        for presence, seen in zip(presences, self._seen, strict=True):
            self._takers[presence.metric.name].append(self._looker(presence, seen))
        self._began, self._latest = times[-1], time.time_ns() + _AHEAD_NS
        self._timeless = self._ahead = 0
        self._edgeless: dict[str, None] = {}
        self._resource: Any = None
        self._whose = ""

    @property
    def metrics(self) -> frozenset[str]:
        """The names of all that is asked."""
        return frozenset(self._takers)

    def take(self, point: Point) -> None:
        """Count a point."""
        if not 0 < point.time <= self._latest:
            self._timeless += point.time <= 0
            self._ahead += point.time > 0
            return
        self._began = min(self._began, point.time)
        if point.resource is not self._resource:  # it is the same of all points of an export
            self._resource, self._whose = point.resource, repr(sorted(point.resource.items()))
        for taker in self._takers[point.metric]:
            taker(point, self._whose)

    def answer(self, gaps: Sequence[Gap]) -> Counts:
        """All that was asked."""
        seen = tuple({labels: frozenset(hours) for labels, hours in one.items()} for one in self._seen)
        grown = tuple(tally.answer(self._began) for tally in self._tallies)
        return Counts(grown, seen, (*gaps, *self._own_gaps()))

    def _own_gaps(self) -> Iterator[Gap]:
        if self._ahead:
            yield Gap("clock", f"{self._ahead} points are of a time to come and left out: a machine's clock is wrong")
        if self._timeless:
            yield Gap("clock", f"{self._timeless} points do not say when they were taken and are left out")
        for name in self._edgeless:
            yield Gap("unreadable", f"points of {name} have other edges than are asked for and are left out")

    def _counter(self, asked: Counted, tally: Tally) -> Callable[[Point, str], None]:
        def take(point: Point, whose: str) -> None:
            value = self._value(point, asked)
            if value is not None and _fits(point, asked.labels) and not _has_any(point, asked.but):
                key = (whose, repr(sorted(point.attributes.items())))
                tally.add(key, _labels(point, asked.by), point.time, value, point.start, point.delta)

        return take

    def _looker(self, asked: Presence, seen: dict[Labels, set[int]]) -> Callable[[Point, str], None]:
        def take(point: Point, whose: str) -> None:
            if _fits(point, asked.labels):
                seen[_labels(point, asked.by)].add(hour_of(point.time, self._times))

        return take

    def _value(self, point: Point, asked: Counted) -> float | None:
        if asked.part == "":
            return point.value
        if isinstance(asked.part, str):
            return point.count if asked.part == "count" else point.sum
        if asked.part not in point.bounds:
            self._edgeless.setdefault(point.metric)
            return None
        return list(accumulate(point.buckets))[point.bounds.index(asked.part)]


def counts(folder: Folder, asked: Sequence[Counted], presences: Sequence[Presence], times: Sequence[int]) -> Counts:
    """Count in all files of a folder."""
    gaps: dict[Gap, None] = {}
    counting = Counting(asked, presences, times)
    wanted = counting.metrics

    def take(document: Any) -> Iterator[Point]:
        return otlp_json.points(document, wanted)

    for point in folder.read(take, gaps.setdefault):
        counting.take(point)
    return counting.answer(tuple(gaps))


def _said(point: Point, name: str) -> Any:
    return point.attributes[name] if name in point.attributes else point.resource.get(name)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _labels(point: Point, by: Sequence[str]) -> Labels:
    return tuple((name, _text(value)) for name in by if (value := _said(point, name)) is not None)


def _fits(point: Point, labels: Labels) -> bool:
    return all((value := _said(point, name)) is not None and _text(value) == wanted for name, wanted in labels)


def _has_any(point: Point, labels: Labels) -> bool:
    return any(_text(_said(point, name)) == unwanted for name, unwanted in labels)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`MetricStore` in a folder: what Prometheus would answer, counted from the points in files."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from otel_tts.names import Metric
from otel_tts.readers import file_growth, otlp_files, otlp_json
from otel_tts.readers.file_search import OfText
from otel_tts.readers.files import Folder
from otel_tts.readers.growth import Counted, Counts, Presence
from otel_tts.readers.model import Answer, Exemplar, Gap, OnGap, Point
from otel_tts.readers.stores import Question, Series, steps

MOST_POINTS: Final = 300_000
"""Points that are held for one answer."""

MOST_EXEMPLARS: Final = 100_000

_LOOK_BACK_NS: Final = 300 * 10**9
"""Time for which a point stands for its series, as in Prometheus."""

Sample = dict[Any, float]
"""One point's numbers: its value, or its count, its sum and the counts up to each bound."""


class FileMetrics:
    """`MetricStore` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder, otlp_files.METRICS)

    def __str__(self) -> str:
        return f"the files in {self._folder.path}"

    def query(self, question: Question, at: int | None = None) -> Answer[Series]:
        """The answer at one time (now where that is None): one value a series."""
        return self._answer(question, [time.time_ns() if at is None else at])

    def range(self, question: Question, since: int, until: int, step: float) -> Answer[Series]:
        """The answer at `since` and then every `step` seconds up to `until`."""
        return self._answer(question, steps(since, until, step))

    def exemplars(
        self, metric: Metric, since: int, until: int, labels: Mapping[str, str] | None = None
    ) -> Answer[Exemplar]:
        """Measurements of a histogram that were kept with their trace ids."""
        gaps: dict[Gap, None] = {}
        found: dict[Exemplar, None] = {}  # an exporter repeats them until there is a newer one
        for point in self._points(metric, labels or {}, gaps.setdefault):
            for one in point.exemplars:
                if since <= one.time < until and len(found) < MOST_EXEMPLARS:
                    found.setdefault(one)
        if len(found) == MOST_EXEMPLARS:
            gaps.setdefault(Gap("limit", f"more than {MOST_EXEMPLARS} measurements were kept"))
        return Answer(tuple(sorted(found, key=lambda one: one.time)), tuple(gaps))

    def counts(self, asked: Sequence[Counted], presences: Sequence[Presence], times: Sequence[int]) -> Counts:
        """By how much counters grew between each two of `times`, exactly, and in which hours metrics were said."""
        return file_growth.counts(self._folder, asked, presences, times)

    def _answer(self, question: Question, times: list[int]) -> Answer[Series]:
        gaps: dict[Gap, None] = {}
        window = round(question.window * 1e9)
        groups = self._read(question, times[0] - window - _LOOK_BACK_NS, times[-1], gaps.setdefault)
        show = _SHOWN[question.show]
        found: list[Series] = []
        for labels, lines in groups.items():
            values: list[tuple[int, float]] = []
            for at in times:
                seen = [one for line in lines if (one := line.at(at, window, question.show == "value")) is not None]
                value = show(_total(seen), question) if seen else None
                if value is not None:
                    values.append((at, value))
            if values:
                found.append(Series(dict(labels), tuple(values)))
        return Answer(tuple(found), tuple(gaps))

    def _read(
        self, question: Question, since: int, until: int, on_gap: OnGap
    ) -> dict[tuple[tuple[str, str], ...], list[_Line]]:
        """What each process said over time, by the labels that are kept apart."""
        groups: dict[tuple[tuple[str, str], ...], dict[str, _Line]] = defaultdict(dict)
        count = 0
        for point in self._points(question.metric, question.labels, on_gap):
            if not since < point.time <= until:
                continue
            count += 1
            if count > MOST_POINTS:
                on_gap(Gap("limit", f"more than {MOST_POINTS} points lie in this time; the others are left out"))
                break
            said = {**point.resource, **point.attributes}
            labels = tuple((name, str(said[name])) for name in question.by if name in said)
            whose = repr((sorted(point.attributes.items()), sorted(point.resource.items())))
            groups[labels].setdefault(whose, _Line()).add(point)
        for lines in groups.values():
            for line in lines.values():
                line.sort()
        return {labels: list(lines.values()) for labels, lines in groups.items()}

    def _points(self, metric: Metric, labels: Mapping[str, str], on_gap: OnGap) -> Iterable[Point]:
        for point in self._folder.read(otlp_json.points, on_gap, OfText(metric.name)):
            if point.metric == metric.name:
                said = {**point.resource, **point.attributes}
                if all(name in said and str(said[name]) == value for name, value in labels.items()):
                    yield point


class _Line:
    """What one process said of one combination of attributes, over time."""

    def __init__(self) -> None:
        self._samples: list[tuple[int, Sample]] = []
        self._delta = False

    def add(self, point: Point) -> None:
        self._delta = self._delta or point.delta
        self._samples.append((point.time, _sample(point)))

    def sort(self) -> None:
        self._samples.sort(key=itemgetter(0))

    def at(self, at: int, window: int, is_value: bool) -> Sample | None:
        """The value at a time, or by how much the counts grew in the window before it; None without a point there."""
        end = bisect_right(self._samples, at, key=itemgetter(0))
        begin = bisect_right(self._samples, at - window, key=itemgetter(0))
        if end == begin:
            return None
        now = self._samples[end - 1][1]
        if is_value:
            return now
        if self._delta:
            return _total(sample for _, sample in self._samples[begin:end])
        before = self._samples[begin - 1] if begin else None
        if before is None or before[0] <= at - window - _LOOK_BACK_NS:
            return now
        # A process that began anew counts from 0 again.
        return {key: value - before[1].get(key, 0.0) if value >= before[1].get(key, 0.0) else value
                for key, value in now.items()}  # fmt: skip


def _sample(point: Point) -> Sample:
    if point.count is None:
        return {"value": point.value or 0.0}
    sample: Sample = {"count": float(point.count), "sum": point.sum or 0.0}
    total = 0
    for bound, count in zip((*point.bounds, float("inf")), point.buckets, strict=False):
        total += count
        sample[bound] = float(total)
    return sample


def _total(samples: Iterable[Sample]) -> Sample:
    total: Sample = defaultdict(float)
    for sample in samples:
        for key, value in sample.items():
            total[key] += value
    return total


def _count(total: Sample) -> float:
    return total["count"] if "count" in total else total["value"]


def _mean(total: Sample) -> float | None:
    return total["sum"] / total["count"] if total.get("count") else None


def _quantile(total: Sample, share: float) -> float | None:
    """Return the value below which `share` of the measurements lie, as Prometheus does.

    In proportion between the bounds; beyond the last bound, that bound.
    """
    bounds = sorted(key for key in total if isinstance(key, float))
    if len(bounds) < 2 or not total[bounds[-1]]:
        return None
    rank = share * total[bounds[-1]]
    place = next(place for place, bound in enumerate(bounds) if total[bound] >= rank)
    if place == len(bounds) - 1:
        return bounds[-2]
    high, low, below = bounds[place], 0.0, 0.0
    if place:
        low, below = bounds[place - 1], total[bounds[place - 1]]
    elif high <= 0:
        return high
    return low + (high - low) * (rank - below) / (total[high] - below)


_SHOWN: Final[Mapping[str, Callable[[Sample, Question], float | None]]] = {
    "value": lambda total, question: total["value"],
    "increase": lambda total, question: _count(total),
    "rate": lambda total, question: _count(total) / question.window,
    "mean": lambda total, question: _mean(total),
    "quantile": lambda total, question: _quantile(total, question.share),
}

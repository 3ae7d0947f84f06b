# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`counts` of a Prometheus: each series' last value in each period, and samples where a series began anew.

Prometheus' own increase() guesses what lies beyond the first and last sample, and does not see a series' first value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, Final

from otel_tts.readers.growth import HOUR_NS, Counted, Counts, Grown, Labels, Presence, Tally
from otel_tts.readers.http import StoreError
from otel_tts.readers.model import Gap
from otel_tts.readers.otlp_json import BROKEN
from otel_tts.readers.promql import label, translate
from otel_tts.readers.quoted import quoted

Ask = Callable[[str, Mapping[str, str]], Any]
"""Asks a path with parameters, and returns what stands under `result`."""

MOST_RESTARTS: Final = 500
"""Periods of series that began anew in them, for which single samples are asked."""

_BEFORE: Final = "2d"
"""How far before the first time a series' last value is looked for."""

_AROUND_S: Final = 3600
"""Seconds before a period in which its restart may have been."""

Samples = dict[Labels, list[tuple[int, float]]]


class Asking:
    """Asks one Prometheus, by `ask`."""

    def __init__(self, ask: Ask, times: Sequence[int]) -> None:
        self._ask, self._times = ask, times

    def counts(self, asked: Sequence[Counted], presences: Sequence[Presence]) -> Counts:
        """All that is asked, as far as the server answers."""
        seen: list[Mapping[Labels, frozenset[int]]] = []
        grown: list[Grown] = []
        gaps: list[Gap] = []
        try:
            seen += [self._hours(one) for one in presences]
            first = min((hour for one in seen for hours in one.values() for hour in hours), default=0)
            for one in asked:
                grown.append(self._grown(one, first, gaps))
        except StoreError as error:
            gaps.append(error.gap)
        except BROKEN as error:
            gaps.append(Gap("unreadable", f"Prometheus answers in a form that is not known ({type(error).__name__})"))
        seen += [{} for _ in presences[len(seen) :]]
        grown += [Grown() for _ in asked[len(grown) :]]
        return Counts(tuple(grown), tuple(seen), tuple(gaps))

    def _hours(self, asked: Presence) -> Mapping[Labels, frozenset[int]]:
        """Hours from a day before the first time on."""
        by = ", ".join(map(label, asked.by))
        query = f"count by ({by}) (last_over_time({_selected(asked.metric, asked.labels)}[1h]))"
        begin = self._times[0] - 23 * HOUR_NS
        found: dict[Labels, frozenset[int]] = {}
        for one in self._range(query, begin, self._times[-1] + HOUR_NS, 3600.0):
            hours = ((round(at * 1e9) - self._times[0]) // HOUR_NS - 1 for at, _ in one["values"])
            found[_kept(one["metric"], asked.by)] = frozenset(hours)
        return found

    def _grown(self, asked: Counted, first: int, gaps: list[Gap]) -> Grown:
        samples: Samples = defaultdict(list)
        series = selected(asked)
        self._instant(f"last_over_time({series}[{_BEFORE}])", self._times[0], samples)
        if first >= 0:  # there is nothing before: what stands in the first hour may have been counted before it
            began = self._times[0] + first * HOUR_NS
            self._instant(f"min_over_time({series}[1h])", began + HOUR_NS, samples, began + 1)
        for begin, end, step in _even(self._times):
            for one in self._range(f"last_over_time({series}[{step}s])", begin + step * 10**9, end, float(step)):
                samples[_all(one["metric"])] += [(round(at * 1e9), float(value)) for at, value in one["values"]]
        self._look_into_restarts(asked, samples, gaps)
        tally = Tally(self._times)
        for labels, values in samples.items():
            for at, value in sorted(set(values)):
                tally.add(labels, _kept(dict(labels), asked.by), at, value)
        return tally.answer(self._times[0] + first * HOUR_NS)

    def _look_into_restarts(self, asked: Counted, samples: Samples, gaps: list[Gap]) -> None:
        """Add all samples of periods in which a series began anew: it may have counted on until then."""
        found: list[tuple[Labels, int, int]] = []
        for begin, end, step in _even(self._times):
            window = step + _AROUND_S
            query = f"resets({selected(asked)}[{window}s]) > 0"
            for one in self._range(query, begin + step * 10**9, end, float(step)):
                found += [(_all(one["metric"]), round(at * 1e9), window) for at, _ in one["values"]]
        if len(found) > MOST_RESTARTS:
            gaps.append(
                Gap("limit", f"{translate(asked.metric)} began anew over {MOST_RESTARTS} times: some is missing")
            )
        for labels, at, window in found[:MOST_RESTARTS]:
            matchers = ",".join(f"{name}={quoted(value)}" for name, value in labels)
            query = f"{_name(asked)}{{{matchers}}}[{window}s]"
            for one in self._ask("/api/v1/query", {"query": query, "time": _seconds(at)}):
                if _all(one["metric"]) == labels:  # others may have more labels
                    samples[labels] += [(round(moment * 1e9), float(value)) for moment, value in one["values"]]

    def _instant(self, query: str, at: int, samples: Samples, noted: int | None = None) -> None:
        for one in self._ask("/api/v1/query", {"query": query, "time": _seconds(at)}):
            samples[_all(one["metric"])].append((at if noted is None else noted, float(one["value"][1])))

    def _range(self, query: str, begin: int, end: int, step: float) -> Any:
        params = {"query": query, "start": _seconds(begin), "end": _seconds(end), "step": repr(step)}
        return self._ask("/api/v1/query_range", params)


def selected(asked: Counted) -> str:
    """The series that are asked for, in PromQL."""
    edge = asked.part if isinstance(asked.part, float) else None
    more = [] if edge is None else [f'le=~"{edge:g}|{edge:g}[.]0"']
    more += [f"{label(name)}!={quoted(value)}" for name, value in asked.but]
    return _selected(asked.metric, asked.labels, _part(asked), more)


def _part(asked: Counted) -> str:
    if isinstance(asked.part, float):
        return "_bucket"
    return f"_{asked.part}" if asked.part else ""


def _name(asked: Counted) -> str:
    return translate(asked.metric) + _part(asked)


def _selected(metric: Any, labels: Labels, part: str = "", more: Sequence[str] = ()) -> str:
    matchers = [*(f"{label(name)}={quoted(value)}" for name, value in labels), *more]
    return f"{translate(metric)}{part}{{{','.join(matchers)}}}"


def _even(times: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The times as stretches of even steps: begin, end and seconds of a step. Days are of 23 to 25 hours."""
    steps = [(end - begin, begin, end) for begin, end in pairwise(times)]
    for step, alike in groupby(steps, lambda one: one[0]):
        every = list(alike)
        yield every[0][1], every[-1][2], round(step / 1e9)


def _all(metric: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in metric.items() if name != "__name__"))


def _kept(metric: Mapping[str, str], by: Sequence[str]) -> Labels:
    return tuple((name, metric[label(name)]) for name in by if metric.get(label(name)))


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9 // 10**6:03d}"

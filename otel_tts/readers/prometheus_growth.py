# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`counts` of a Prometheus: each series' last value in each period, and samples where a series began anew.

Prometheus' own increase() guesses what lies beyond the first and last sample, and does not see a series' first value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise, product
from typing import Any, Final, TypeVar

from otel_tts.readers.growth import HOUR_NS, Counted, Counts, Grown, Labels, Presence, Tally
from otel_tts.readers.http import StoreError
from otel_tts.readers.model import Gap
from otel_tts.readers.otlp_json import BROKEN
from otel_tts.readers.promql import label, translate
from otel_tts.readers.quoted import quoted

T = TypeVar("T")
U = TypeVar("U")
Ask = Callable[[str, Mapping[str, str]], Any]
"""Asks a path with parameters, and returns what stands under `result`."""

MOST_RESTARTS: Final = 300
"""Restarts of processes under the same name that are looked at."""

_BEFORE_S: Final = 2 * 86400
"""How far before the first time a series' last value is looked for."""

_AROUND_S: Final = 3600
"""Seconds before a period in which its restart may have been."""

_WHOSE: Final = (
    "job", "instance", "service_name", "service_namespace", "service_instance_id", "host_name", "k8s_pod_name",
)  # fmt: skip
"""Labels of a process: where one of its series begins anew, all of them do."""

Samples = dict[Labels, dict[int, float]]
Restarts = dict[Labels, set[int]]
"""The moments of each process after which its counters are new ones."""

Found = Sequence[tuple[Counted, Samples]]


class Asking:
    """Asks one Prometheus, by `ask`."""

    def __init__(self, ask: Ask, times: Sequence[int]) -> None:
        self._ask, self._times = ask, times
        self._gaps: list[Gap] = []

    def counts(self, asked: Sequence[Counted], presences: Sequence[Presence]) -> Counts:
        """All that is asked, as far as the server answers."""
        seen = self._as_far_as_it_answers(self._hours, presences)
        first = min((hour for one in seen for hours in one.values() for hour in hours), default=0)
        found = self._as_far_as_it_answers(lambda one: self._samples(one, first), asked)
        pairs = list(zip(asked, found, strict=False))
        restarts: Restarts = defaultdict(set)
        self._as_far_as_it_answers(lambda look: look(pairs, restarts), (self._visible_restarts, self._hidden_restarts))
        grown = [self._tallied(one, samples, restarts, self._times[0] + first * HOUR_NS) for one, samples in pairs]
        grown += [Grown()] * (len(asked) - len(grown))
        seen += [{}] * (len(presences) - len(seen))
        return Counts(tuple(grown), tuple(seen), tuple(self._gaps))

    def _as_far_as_it_answers(self, look: Callable[[T], U], things: Sequence[T]) -> list[U]:
        """What is found for each thing, until the server fails: then it is not asked any more."""
        found: list[U] = []
        try:
            if not self._gaps:
                for one in things:
                    found.append(look(one))
        except StoreError as error:
            self._gaps.append(error.gap)
        except BROKEN as error:
            said = f"Prometheus answers in a form that is not known ({type(error).__name__})"
            self._gaps.append(Gap("unreadable", said))
        return found

    def _hours(self, asked: Presence) -> Mapping[Labels, frozenset[int]]:
        """Hours from a day before the first time on."""
        by = ", ".join(map(label, asked.by))
        query = f"count by ({by}) (last_over_time({_selected(asked.metric, asked.labels)}[1h]))"
        begin = self._times[0] - 23 * HOUR_NS
        found: dict[Labels, frozenset[int]] = {}
        for one in self._range(query, begin, self._times[-1] + HOUR_NS, 3600.0):
            hours = ((_ns(at) - self._times[0]) // HOUR_NS - 1 for at, _ in one["values"])
            found[_kept(one["metric"], asked.by)] = frozenset(hours)
        return found

    def _samples(self, asked: Counted, first: int) -> Samples:
        """The last value of each series in each period, and what it had before."""
        samples: Samples = defaultdict(dict)
        series = selected(asked)
        self._instant(f"last_over_time({series}[{_BEFORE_S}s])", self._times[0], samples)
        if first >= 0:  # there is nothing before: what stands in the first hour may have been counted before it
            began = self._times[0] + first * HOUR_NS
            self._instant(f"min_over_time({series}[1h])", began + HOUR_NS, samples, began + 1)
        for begin, end, step in _even(self._times):
            for one in self._range(f"last_over_time({series}[{step}s])", begin + step * 10**9, end, float(step)):
                samples[_all(one["metric"])].update((_ns(at), float(value)) for at, value in one["values"])
        return samples

    def _visible_restarts(self, found: Found, restarts: Restarts) -> None:
        """Note when processes began anew under the same name, as their busiest series show."""
        for (whose, at), (_, labels, name, window) in self._busiest([asked for asked, _ in found]).items():
            values = self._all_samples(f"{name}{_matching(labels)}[{window}s]", labels, at)
            restarts[whose] |= {before for (before, high), (_, low) in pairwise(values) if low < high}
        self._look_around(found, restarts)

    def _hidden_restarts(self, found: Found, restarts: Restarts) -> None:
        """Note those for which nothing was heard for longer: within its period a series did not begin anew, so that it
        had before it."""
        falls: dict[Labels, set[tuple[int, int]]] = defaultdict(set)
        for labels, values in ((labels, values) for _, samples in found for labels, values in samples.items()):
            for (before, high), (after, low) in pairwise(sorted(values.items())):
                if low < high:
                    falls[_whose(labels)].add((after, before))
        more: Restarts = {}
        for whose, spans in falls.items():
            for after, before in sorted(spans):  # one restart is seen by many series, by rare ones later
                if not any(before <= moment < after for moment in restarts[whose]):
                    restarts[whose].add(max(before, max(time for time in self._times if time < after)))
                    more[whose] = restarts[whose]
        self._look_around(found, more)

    def _busiest(self, asked: Sequence[Counted]) -> dict[tuple[Labels, int], tuple[float, Labels, str, int]]:
        """Of each process and period the series that began anew most often: how often, its labels, name and window."""
        found: dict[tuple[Labels, int], tuple[float, Labels, str, int]] = {}
        for one in asked:
            for begin, end, step in _even(self._times):
                window = step + _AROUND_S
                query = f"resets({selected(one)}[{window}s]) > 0"
                for series in self._range(query, begin + step * 10**9, end, float(step)):
                    labels = _all(series["metric"])
                    for at, count in series["values"]:
                        key, said = (_whose(labels), _ns(at)), (float(count), labels, _name(one), window)
                        found[key] = max(found.get(key, said), said)
        if len(found) > MOST_RESTARTS:
            said = f"processes began anew over {MOST_RESTARTS} times under the same name: some counts are missing"
            self._gaps.append(Gap("limit", said))
        return dict(list(found.items())[:MOST_RESTARTS])

    def _all_samples(self, query: str, labels: Labels, at: int) -> list[tuple[int, float]]:
        for one in self._ask("/api/v1/query", {"query": query, "time": _seconds(at)}):
            if _all(one["metric"]) == labels:  # others may have more labels
                return [(_ns(moment), float(value)) for moment, value in one["values"]]
        return []

    def _look_around(self, found: Found, restarts: Restarts) -> None:
        """Put in what each series had counted before a restart, and take out what looks as if it were after it."""
        for (asked, samples), whose in product(found, restarts):
            moments = restarts[whose]
            of_process = [values for labels, values in samples.items() if _whose(labels) == whose]
            series = f"{selected(asked)[:-1]},{_matching(whose)[1:]}".replace("{,", "{")
            for low, high in pairwise(sorted({*self._times, *moments})):
                if low in moments or high in moments:
                    for values in of_process:
                        values.pop(high, None)
                    self._instant(f"last_over_time({series}[{(high - low) // 10**6}ms])", high, samples)

    def _tallied(self, asked: Counted, samples: Samples, restarts: Restarts, began: int) -> Grown:
        tally = Tally(self._times)
        for labels, values in samples.items():
            moments = sorted(restarts.get(_whose(labels), ()))
            for at, value in sorted(values.items()):
                start = max((moment for moment in moments if moment < at), default=0)
                tally.add(labels, _kept(dict(labels), asked.by), at, value, start)
        return tally.answer(began)

    def _instant(self, query: str, at: int, samples: Samples, noted: int | None = None) -> None:
        for one in self._ask("/api/v1/query", {"query": query, "time": _seconds(at)}):
            samples[_all(one["metric"])][at if noted is None else noted] = float(one["value"][1])

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


def _whose(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] in _WHOSE)


def _matching(labels: Labels) -> str:
    return "{" + ",".join(f"{name}={quoted(value)}" for name, value in labels) + "}"


def _ns(seconds: float) -> int:
    return round(seconds * 1000) * 10**6


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9 // 10**6:03d}"

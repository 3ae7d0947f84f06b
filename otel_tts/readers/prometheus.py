# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`MetricStore` of a Prometheus, or of what speaks its HTTP API."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from otel_tts.names import Metric
from otel_tts.readers import otlp_json
from otel_tts.readers.growth import Counted, Counts, Presence
from otel_tts.readers.http import Client, StoreError
from otel_tts.readers.limits import forgotten
from otel_tts.readers.model import Answer, Exemplar, Gap
from otel_tts.readers.prometheus_growth import Asking
from otel_tts.readers.promql import label, promql, select
from otel_tts.readers.stores import Question, Series, steps

POINTS: Final = 10_000
"""Points of a series in one answer; Prometheus refuses more than 11 000."""

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


class Prometheus:
    """`MetricStore` at an URL."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._client = Client("Prometheus", url, headers)
        self._kept: float | None = None

    def __str__(self) -> str:
        return self._client.name

    def query(self, question: Question, at: int | None = None) -> Answer[Series]:
        """The answer at one time (now where that is None): one value a series."""
        at = time.time_ns() if at is None else at
        params = {"query": promql(question), "time": _seconds(at)}

        def ask() -> tuple[list[Series], list[Gap]]:
            result, gaps = self._result("/api/v1/query", params)
            return [_series(question, one, [one["value"]]) for one in result], gaps

        return self._answer(ask, at - round(question.window * 1e9))

    def range(self, question: Question, since: int, until: int, step: float) -> Answer[Series]:
        """The answer at `since` and then every `step` seconds up to `until`."""
        times = steps(since, until, step)
        joined: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}

        def ask() -> tuple[list[Series], list[Gap]]:
            gaps: list[Gap] = []
            for first in range(0, len(times), POINTS):
                part = times[first : first + POINTS]
                params = {
                    "query": promql(question), "start": _seconds(part[0]), "end": _seconds(part[-1]),
                    "step": repr(step),
                }  # fmt: skip
                result, said = self._result("/api/v1/query_range", params)
                gaps += said
                for one in result:
                    series = _series(question, one, one["values"])
                    joined.setdefault(tuple(series.labels.items()), []).extend(series.values)
            return [Series(dict(labels), tuple(values)) for labels, values in joined.items()], gaps

        return self._answer(ask, since - round(question.window * 1e9))

    def exemplars(
        self, metric: Metric, since: int, until: int, labels: Mapping[str, str] | None = None
    ) -> Answer[Exemplar]:
        """Measurements of a histogram that were kept with their trace ids."""
        part = "_bucket" if metric.kind == "histogram" else ""
        params = {"query": select(metric, labels or {}, part), "start": _seconds(since), "end": _seconds(until)}

        def ask() -> tuple[list[Exemplar], list[Gap]]:
            document = self._client.json("/api/v1/query_exemplars", params)
            found = [_exemplar(one) for series in document["data"] for one in series["exemplars"]]
            return sorted((one for one in found if since <= one.time < until), key=lambda one: one.time), []

        return self._answer(ask, since)

    def counts(self, asked: Sequence[Counted], presences: Sequence[Presence], times: Sequence[int]) -> Counts:
        """By how much counters grew between each two of `times`, exactly, and in which hours metrics were said."""
        warned: dict[Gap, None] = {}

        def ask(path: str, params: Mapping[str, str]) -> Any:
            result, gaps = self._result(path, params)
            warned.update(dict.fromkeys(gaps))
            return result

        found = Asking(ask, times).counts(asked, presences)
        return replace(found, gaps=(*found.gaps, *warned, *forgotten(self, times[0], self._keeps())))

    def _result(self, path: str, params: Mapping[str, str]) -> tuple[Any, list[Gap]]:
        document = self._client.json(path, params)
        warnings = document.get("warnings") or ()
        return document["data"]["result"], [Gap("unreadable", f"{self}: {warning}") for warning in warnings]

    def _answer(self, ask: Callable[[], tuple[list[Any], list[Gap]]], since: int) -> Answer[Any]:
        try:
            items, gaps = ask()
        except StoreError as error:
            return Answer((), (error.gap,))
        except otlp_json.BROKEN as error:
            return Answer((), (self._client.strange(error).gap,))
        return Answer(tuple(one for one in items if _has_values(one)), (*gaps, *forgotten(self, since, self._keeps())))

    def _keeps(self) -> float | None:
        """How long it keeps samples, None where it does not say."""
        if self._kept is None:
            try:
                said = str(self._client.json("/api/v1/status/runtimeinfo")["data"]["storageRetention"])
                parts = re.findall(r"(\d+)(ms|[smhdwy])", said.partition(" or ")[0])
                self._kept = sum(int(number) * _UNITS_S[unit] for number, unit in parts) or math.inf
            except (StoreError, *otlp_json.BROKEN):
                self._kept = math.inf
        return self._kept if self._kept < math.inf else None


def _has_values(item: Series | Exemplar) -> bool:
    return not isinstance(item, Series) or bool(item.values)


def _series(question: Question, one: Any, values: list[Any]) -> Series:
    labels = {name: one["metric"][label(name)] for name in question.by if one["metric"].get(label(name))}
    return Series(labels, tuple(_pairs(values)))


def _pairs(values: list[Any]) -> Iterator[tuple[int, float]]:
    """Times and values; a value that is no number (of nothing there is no quantile) is left out."""
    for at, text in values:
        if not math.isnan(value := float(text)):
            yield round(at * 1000) * 10**6, value


def _exemplar(one: Any) -> Exemplar:
    labels = one["labels"]
    at = round(one["timestamp"] * 1000) * 10**6
    return Exemplar(float(one["value"]), at, labels.get("trace_id", ""), labels.get("span_id", ""))


def _seconds(nanoseconds: int) -> str:
    """Prometheus counts in milliseconds."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9 // 10**6:03d}"

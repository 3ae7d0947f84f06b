# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Two made months of a service whose true figures are known: September and October 2026 in Shanghai.

Two processes count. Every hour they export that they are there, and five times a day what they have counted: before
each midnight, and before what happens. In October one is started anew each Monday under the same name, the whole
service is off on the 12th, and for five hours of the 20th its exports are lost while it goes on.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from otel_tts import names
from otel_tts.names import Metric
from otel_tts.readers.promql import label, translate
from otel_tts.reporting.figures import ALIVE, FAILURES
from tests.store_contracts.sent import pairs

ZONE = ZoneInfo("Asia/Shanghai")
SERVICE = "narrator"
HOUR_NS = 3600 * 10**9
PRICE = 7.5
OFF = "2026-10-12"
LOST = "2026-10-20"
COUNTED_AT = (0, 5, 8, 14, 23)
HOURLY = (ALIVE.name, names.HW_MEMORY_LIMIT.name)
VOICES = ("anna", "ben", "chloe", "dan", names.OTHER)

Key = tuple[str, tuple[tuple[str, Any], ...]]
"""A metric's name and a point's attributes."""


@dataclass
class Month:
    """What truly happened in a month."""

    outcomes: Counter[str] = field(default_factory=Counter)
    voices: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    by_day: Counter[str] = field(default_factory=Counter)
    measured: int = 0
    prompt: int = 0
    silent: int = 0
    audio_seconds: float = 0.0
    gpu_seconds: float = 0.0
    cost: float = 0.0

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        return sum(self.outcomes[outcome] for outcome in FAILURES)

    @property
    def delivered(self) -> int:
        return self.outcomes["ok"] + self.outcomes["anomalous"]


@dataclass
class Process:
    """One process: what it has counted since it began."""

    instance: str
    start: int
    sums: dict[Key, float] = field(default_factory=dict)
    histograms: dict[Key, list[float]] = field(default_factory=dict)

    def count(self, metric: Metric, value: float, **attributes: Any) -> None:
        key = (metric.name, tuple(sorted(attributes.items())))
        self.sums[key] = self.sums.get(key, 0.0) + value

    def measure(self, metric: Metric, value: float, **attributes: Any) -> None:
        key = (metric.name, tuple(sorted(attributes.items())))
        counts = self.histograms.setdefault(key, [0.0] * (len(metric.edges) + 2))  # buckets, the last is the sum
        counts[next((place for place, edge in enumerate(metric.edges) if value <= edge), len(metric.edges))] += 1
        counts[-1] += value


@dataclass(frozen=True)
class Export:
    """What a process says at a time."""

    at: int
    instance: str
    start: int
    sums: dict[Key, float]
    histograms: dict[Key, list[float]]


_METRICS = {metric.name: metric for metric in (*names.METRICS, ALIVE)}
_CARD = {"hw.id": "GPU-1"}


class Made:
    """The two months: `true` by their names, and the exports of all processes in order."""

    def __init__(self, seed: int = 7, errors_are_named: bool = True, device: bool = True) -> None:
        self.true = {"2026-09": Month(), "2026-10": Month()}
        self.failures: list[tuple[int, str]] = []
        self._random, self._named, self._device = random.Random(seed), errors_are_named, device
        self.exports = list(self._live())

    def _live(self) -> Iterator[Export]:
        at = datetime(2026, 9, 1, tzinfo=ZONE)
        processes: list[Process] = []
        while at < datetime(2026, 11, 1, tzinfo=ZONE):
            begin = round(at.timestamp()) * 10**9
            day = f"{at:%Y-%m-%d}"
            if day == OFF:
                processes = []
            else:
                if not processes:
                    processes = [Process(str(number), begin) for number in (1, 2)]
                if at.weekday() == 0 and at.hour == 9 and at.month == 10:
                    processes[0] = Process("1", begin)  # it was started anew: counts from 0
                for process in processes:
                    self._hour(process, at, begin)
                lost = day == LOST and 8 <= at.hour < 13
                for process in () if lost else processes:
                    yield self._export(process, begin, at.hour in COUNTED_AT)
            at += timedelta(hours=1)

    def _export(self, process: Process, begin: int, counted: bool) -> Export:
        histograms = {key: list(value) for key, value in process.histograms.items()} if counted else {}
        sums = {key: value for key, value in process.sums.items() if counted or key[0] in HOURLY}
        return Export(begin + HOUR_NS - 60 * 10**9, process.instance, process.start, sums, histograms)

    def _hour(self, process: Process, at: datetime, begin: int) -> None:
        true = self.true[f"{at:%Y-%m}"]
        chance = self._random
        process.sums[(ALIVE.name, ())] = 1e9
        if self._device:
            process.sums[(names.HW_MEMORY_LIMIT.name, (("hw.id", "GPU-1"),))] = 24e9
        for _ in range(chance.randint(2, 9) + (4 if at.month == 10 else 0)):
            self._request(process, true, at, begin)
        process.count(names.REQUESTS, 3, **{names.OUTCOME: "ok", names.CANARY: True})

    def _request(self, process: Process, true: Month, at: datetime, begin: int) -> None:
        chance = self._random
        voice = chance.choices(VOICES, (50, 30, 15, 4, 1))[0]
        outcome = chance.choices(("ok", "anomalous", "error", "cancelled", "rejected"), (930, 12, 30, 20, 8))[0]
        error = {}
        if outcome == "error":
            kind = chance.choices(("OutOfMemoryError", "TimeoutError", "ValueError"), (6, 3, 1))[0]
            true.errors[kind] += 1
            self.failures.append((begin + chance.randrange(3500) * 10**9, kind))
            error = {names.ERROR_TYPE: kind} if self._named else {}
        engine = {names.ENGINE: "indextts", names.MODEL: "indextts-2"}
        process.count(names.REQUESTS, 1, **engine, **{names.VOICE: voice, names.OUTCOME: outcome}, **error)
        true.outcomes[outcome] += 1
        true.voices[voice] += 1
        true.by_day[f"{at:%Y-%m-%d}"] += 1
        took = round(chance.lognormvariate(0.2, 0.5), 3)
        process.measure(names.REQUEST_DURATION, took, **engine, **{names.OUTCOME: outcome})
        if outcome in ("ok", "anomalous"):
            true.measured += 1
            true.prompt += took <= 2.0
            seconds = round(chance.uniform(1, 12), 2)
            true.audio_seconds += seconds
            process.measure(names.AUDIO_SECONDS, seconds, **engine)
        if outcome == "anomalous":
            kind = chance.choice(("silent", "silent", "empty", "truncated"))
            true.silent += kind != "truncated"
            process.count(names.AUDIO_ANOMALIES, 1, **{names.ENGINE: "indextts", names.AUDIO_ANOMALY: kind})
        if self._device:
            self._work(process, true, took, engine)

    def _work(self, process: Process, true: Month, took: float, engine: dict[str, str]) -> None:
        labels = {**engine, names.ESTIMATE: "timeshare"}
        true.gpu_seconds += took
        true.cost += took / 3600 * PRICE
        process.count(names.GPU_TIME, took, **labels)
        process.count(names.GPU_COST, took / 3600 * PRICE, **labels, **{names.COST_CURRENCY: "CNY"})


def document(export: Export) -> dict[str, Any]:
    """An export as OTLP JSON."""
    metrics: list[dict[str, Any]] = []
    for (name, attributes), value in export.sums.items():
        point = {**_point(export, attributes), "asDouble": value}
        monotonic = _METRICS[name].kind == "counter"
        total = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": monotonic}
        metrics.append({"name": name, "unit": _METRICS[name].unit, "sum": total})
    for (name, attributes), (*buckets, total) in export.histograms.items():
        point = {
            **_point(export, attributes), "count": str(int(sum(buckets))), "sum": total,
            "explicitBounds": list(_METRICS[name].edges), "bucketCounts": [str(int(count)) for count in buckets],
        }  # fmt: skip
        metrics.append({"name": name, "unit": "s", "histogram": {"dataPoints": [point], "aggregationTemporality": 2}})
    resource = {"attributes": pairs({"service.name": SERVICE, "service.instance.id": export.instance})}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": {}, "metrics": metrics}]}]}


def _point(export: Export, attributes: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return {
        "timeUnixNano": str(export.at), "startTimeUnixNano": str(export.start), "attributes": pairs(dict(attributes)),
    }  # fmt: skip


def write_files(made: Made, folder: Path) -> None:
    """The exports as the processes' own files: an export a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for instance in ("1", "2"):
        with (folder / f"metrics-h-{instance}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(document(one)) + "\n" for one in made.exports if one.instance == instance)


def openmetrics(made: Made) -> Iterator[str]:
    """The exports in the form that promtool makes blocks of, a metric after the other, each in order of series."""
    series: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for export in made.exports:
        whose = {"service_name": SERVICE, "service_instance_id": export.instance, "instance": export.instance}
        for (name, attributes), value in export.sums.items():
            _note(series, translate(_METRICS[name]), whose, attributes, export.at, value)
        for (name, attributes), (*buckets, total) in export.histograms.items():
            base, count = translate(_METRICS[name]), 0.0
            for edge, many in zip((*_METRICS[name].edges, "+Inf"), buckets, strict=True):
                count += many
                le = edge if isinstance(edge, str) else f"{edge:g}"
                _note(series, f"{base}_bucket", {**whose, "le": le}, attributes, export.at, count)
            _note(series, f"{base}_count", whose, attributes, export.at, count)
            _note(series, f"{base}_sum", whose, attributes, export.at, total)
    for name, lines in series.items():
        yield f"# TYPE {name} unknown\n"
        for labels, values in lines.items():
            yield from (f"{name}{labels} {value!r} {at / 1e9:.3f}\n" for at, value in values)
    yield "# EOF\n"


def _note(
    series: dict[str, dict[str, list[tuple[int, float]]]], name: str, whose: dict[str, str],
    attributes: tuple[tuple[str, Any], ...], at: int, value: float,
) -> None:  # fmt: skip
    said = {**whose, **{label(key): str(one).lower() if isinstance(one, bool) else one for key, one in attributes}}
    labels = "{" + ",".join(f'{key}="{one}"' for key, one in said.items()) + "}"
    series.setdefault(name, {}).setdefault(labels, []).append((at, value))

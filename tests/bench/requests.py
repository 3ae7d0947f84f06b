# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a request costs against the same telemetry by hand, and whether 500 a second lose anything."""

from __future__ import annotations

import statistics
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.builds import Build
from tests.bench.content import LINES, POINTS, SPANS, STAGES
from tests.bench.crew import Kind, Worker, in_turn, workers
from tests.bench.plain_names import names
from tests.bench.report import Against, Row, at_most, exactly, plain
from tests.bench.same import differences, shape
from tests.bench.worker import WARM_UP
from tests.integration.otlp_sink import OtlpSink

COST = f"A request: {SPANS} spans, {len(STAGES)} memory events, {POINTS} metric points, {LINES} log records"
FLOOD = "500 requests a second"

BY_HAND, DIRECT, OURS = "by hand", "by hand, direct logs", "otel-tts"
UNGATED, LINED, NOTHING = "otel-tts, ungated", "otel-tts, lines on stderr", "nothing"

_CHECKED = 20
PATH_LIMIT, CPU_LIMIT, MEMORY_LIMIT = 0.11, 0.4, 5.0

ENV = {
    # Metrics leave when a round ends, not in another's; process metrics are no request's.
    "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics",
}


EACH = 3
"""Processes of each kind: one is faster than the next, for as long as it lives."""


def several(kinds: Mapping[Any, Kind]) -> dict[tuple[Any, int], Kind]:
    """EACH of every kind."""
    return {(name, number): kind for number in range(EACH) for name, kind in kinds.items()}


class Answers:
    """What `several` workers answered in rounds that they took in turn, and how many bytes each sent."""

    def __init__(self, sink: OtlpSink, crew: Mapping[tuple[Any, int], Worker], line: str, rounds: int) -> None:
        self._found: dict[Hashable, list[dict[str, Any]]] = {name: [] for name, _ in crew}
        sink.clear()
        for (name, _), answer in in_turn(crew, line, rounds):
            self._found[name].append({**answer, "bytes": len(sink.raw_bytes())})
            sink.clear()

    def of(self, name: Hashable, key: str) -> float:
        """The median over processes and rounds."""
        return statistics.median(answer[key] for answer in self._found[name])

    def ratio(self, name: Hashable, key: str, base: Hashable = BY_HAND) -> float:
        """The median of the ratios, each of two processes in the same round."""
        pairs = zip(self._found[name], self._found[base], strict=True)
        return statistics.median(a[key] / b[key] for a, b in pairs)

    def both(self, name: Hashable, key: str, base: Hashable = BY_HAND) -> str:
        """The two medians, which are times, in words."""
        return f"{self.of(name, key):.0f} µs / {self.of(base, key):.0f} µs"


def cost(builds: Sequence[Build], folder: Path, rounds: int, count: int) -> list[list[Row]]:
    """Compare the ways, one round of each after the other; ratios are medians over the rounds."""
    kinds: dict[Hashable, Kind] = {name: Kind(name) for name in (BY_HAND, DIRECT, NOTHING)}
    kinds |= {(name, build): Kind(name, build) for name in (OURS, UNGATED, LINED) for build in builds}
    with OtlpSink() as sink, workers(sink.env(**ENV), folder, several(kinds)) as crew:
        shapes: dict[Hashable, Any] = {}
        for name in (BY_HAND, *((way, build) for way in (OURS, UNGATED) for build in builds)):
            sink.clear()
            crew[name, 0].ask(f"go {_CHECKED}")
            shapes[name] = shape(sink)
        found = Answers(sink, crew, f"go {count}", rounds)

    def rows(build: Build) -> list[Row]:
        ours, ungated, lined = ((name, build) for name in (OURS, UNGATED, LINED))
        of, ratio, both = found.of, found.ratio, found.both
        more = of(ours, "memory") - of(BY_HAND, "memory")
        differ = [one for way in (ours, ungated) for one in differences(shapes[BY_HAND], shapes[way])]
        return [
            exactly(COST, "spans, parents, events, points, exemplars, log records by both ways",
                    differ, "the same"),
            at_most(COST, "time on the request's path, otel-tts / by hand", ratio(ours, "path"), PATH_LIMIT, "",
                    both(ours, "path")),
            at_most(COST, "CPU of the process, otel-tts / by hand", ratio(ours, "cpu"), CPU_LIMIT, "",
                    both(ours, "cpu")),
            plain(COST, "path, without the privacy gate", ratio(ungated, "path"), "×", both(ungated, "path"),
                  Against.SHOWN),
            plain(COST, "CPU, without the privacy gate", ratio(ungated, "cpu"), "×", both(ungated, "cpu"),
                  Against.SHOWN),
            plain(COST, "path, by hand without the logging module", ratio(ours, "path", DIRECT), "×",
                  both(ours, "path", DIRECT)),
            plain(COST, "CPU, by hand without the logging module", ratio(ours, "cpu", DIRECT), "×",
                  both(ours, "cpu", DIRECT)),
            plain(COST, "CPU, with our lines on stderr as well, which the other does not write", ratio(lined, "cpu"),
                  "×", both(lined, "cpu")),
            plain(COST, "CPU of the pacing alone, part of all of these", of(NOTHING, "cpu"), "µs", against=Against.NO),
            plain(COST, "99th percentile on the path", of(ours, "p99"), "µs", f"by hand {of(BY_HAND, 'p99'):.0f} µs",
                  Against.SHOWN),
            plain(COST, "bytes sent, uncompressed", of(ours, "bytes") / count / 1e3, "kB",
                  f"by hand {of(BY_HAND, 'bytes') / count / 1e3:.2f} kB"),
            plain(COST, "memory of the process", of(ours, "memory"), "MB"),
            at_most(COST, "memory, more than by hand", more, MEMORY_LIMIT, " MB",
                    f"by hand {of(BY_HAND, 'memory'):.0f} MB", Against.SHOWN),
        ]  # fmt: skip

    return [rows(build) for build in builds]


def flood(builds: Sequence[Build], folder: Path, rate: int, seconds: int, seconds_by_hand: int) -> list[list[Row]]:
    """Send at a fixed rate and count what arrives."""
    by_hand, _ = _flood(Kind("by hand, default queues"), folder, rate, seconds_by_hand)
    comparison = "for comparison, by hand with the SDK's default queues"
    rows: list[list[Row]] = []
    for build in builds:
        lost, answer = _flood(Kind(OURS, build), folder, rate, seconds)
        run = f"{seconds} s at {answer['rate']:.0f}/s, at worst {answer['latest'] * 1e3:.0f} ms behind"
        rows.append([
            exactly(FLOOD, "lost, in our queue, the SDK's or on the way", lost, "nothing"),
            plain(FLOOD, "the run", answer["cores"], "cores", run),
            Row(FLOOD, comparison, "; ".join(by_hand) or "nothing lost"),
        ])  # fmt: skip
    return rows


def _flood(kind: Kind, folder: Path, rate: int, seconds: int) -> tuple[list[str], dict[str, Any]]:
    env = {"OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    with OtlpSink() as sink, workers(sink.env(**env), folder, {kind.variant: kind}) as crew:
        sink.clear()
        answer = crew[kind.variant].ask(f"flood {rate} {seconds}")
        return _lost(sink, answer), answer


def _lost(sink: OtlpSink, answer: dict[str, Any]) -> list[str]:
    sent = answer["sent"]
    time.sleep(0.5)
    counted = sum(point.value for point in sink.latest(names.REQUESTS.name)) - WARM_UP
    arrived = {
        "spans": (len(sink.spans()), sent * SPANS),
        "log records": (len(sink.logs()), sent * LINES),
        "requests counted": (int(counted), sent),
    }
    lost = [f"{want - got} of {want} {what}" for what, (got, want) in arrived.items() if got != want]
    said = {
        f"{metric.name} {' '.join(map(str, point.attributes.values()))}: {point.value:g}"
        for metric in (names.DROPPED, names.FAULTS)
        for point in sink.latest(metric.name)
        if point.value
    }
    return lost + sorted(said)

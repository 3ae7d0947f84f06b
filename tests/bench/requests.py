# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a request costs against the same telemetry by hand, and whether 500 a second lose anything."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from otel_tts import names
from tests.bench.content import LINES, POINTS, SPANS, STAGES
from tests.bench.crew import Worker, workers
from tests.bench.report import Row, at_most, exactly, plain
from tests.bench.same import differences, shape
from tests.integration.otlp_sink import OtlpSink

COST = f"A request: {SPANS} spans, {len(STAGES)} memory events, {POINTS} metric points, {LINES} log records"
FLOOD = "500 requests a second"

BY_HAND, DIRECT, OURS = "by hand", "by hand, direct logs", "otel-tts"
UNGATED, LINED, NOTHING = "otel-tts, ungated", "otel-tts, lines on stderr", "nothing"
_VARIANTS = (BY_HAND, OURS, UNGATED, DIRECT, LINED, NOTHING)

_CHECKED = 20
PATH_LIMIT, CPU_LIMIT = 0.15, 0.8

_ENV = {
    # Metrics leave when a round ends, not in another's; process metrics are no request's.
    "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics",
}


def cost(folder: Path, rounds: int, count: int) -> list[Row]:
    """Compare the ways, one round of each after the other; ratios are medians over the rounds."""
    with OtlpSink() as sink, workers(sink.env(**_ENV), folder, _VARIANTS) as crew:
        same = _same(sink, crew)
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in crew}
        for _ in range(rounds):
            for name, worker in crew.items():
                sink.clear()
                answer = worker.ask(f"go {count}")
                results[name].append({**answer, "bytes": len(sink.raw_bytes()) / count})

    def of(name: str, key: str) -> float:
        return statistics.median(answer[key] for answer in results[name])

    def ratio(name: str, key: str, base: str = BY_HAND) -> float:
        return statistics.median(a[key] / b[key] for a, b in zip(results[name], results[base], strict=True))

    def both(name: str, key: str, base: str = BY_HAND) -> str:
        return f"{of(name, key):.0f} µs / {of(base, key):.0f} µs"

    return [
        exactly(COST, "spans, parents, events, points, exemplars, log records by both ways", same, "the same"),
        at_most(COST, "time on the request's path, otel-tts / by hand", ratio(OURS, "path"), PATH_LIMIT, "",
                both(OURS, "path")),
        at_most(COST, "CPU of the process, otel-tts / by hand", ratio(OURS, "cpu"), CPU_LIMIT, "", both(OURS, "cpu")),
        plain(COST, "path, without the privacy gate", ratio(UNGATED, "path"), "×", both(UNGATED, "path")),
        plain(COST, "CPU, without the privacy gate", ratio(UNGATED, "cpu"), "×", both(UNGATED, "cpu")),
        plain(COST, "path, by hand without the logging module", ratio(OURS, "path", DIRECT), "×",
              both(OURS, "path", DIRECT)),
        plain(COST, "CPU, by hand without the logging module", ratio(OURS, "cpu", DIRECT), "×",
              both(OURS, "cpu", DIRECT)),
        plain(COST, "CPU, with our lines on stderr as well, which the other does not write", ratio(LINED, "cpu"), "×",
              both(LINED, "cpu")),
        plain(COST, "CPU of the pacing alone, part of all of these", of(NOTHING, "cpu"), "µs"),
        plain(COST, "99th percentile on the path", of(OURS, "p99"), "µs", f"by hand {of(BY_HAND, 'p99'):.0f} µs"),
        plain(COST, "bytes sent, uncompressed", of(OURS, "bytes"), "B", f"by hand {of(BY_HAND, 'bytes'):.0f} B"),
    ]  # fmt: skip


def _same(sink: OtlpSink, crew: dict[str, Worker]) -> list[str]:
    shapes = []
    for name in (BY_HAND, OURS):
        sink.clear()
        crew[name].ask(f"go {_CHECKED}")
        shapes.append(shape(sink))
    return differences(*shapes)


def flood(folder: Path, rate: int, seconds: int, seconds_by_hand: int) -> list[Row]:
    """Send at a fixed rate and count what arrives."""
    rows: list[Row] = []
    for name, length in ((OURS, seconds), ("by hand, default queues", seconds_by_hand)):
        with OtlpSink() as sink, workers({**sink.env(), "OTEL_METRIC_EXPORT_INTERVAL": "5000"}, folder, [name]) as crew:
            sink.clear()
            answer = crew[name].ask(f"flood {rate} {length}")
            lost = _lost(sink, answer)
        detail = (
            f"{length} s at {answer['rate']:.0f}/s, {answer['cores']:.2f} cores, "
            f"at worst {answer['latest'] * 1e3:.0f} ms behind"
        )
        if name == OURS:
            rows += [
                exactly(FLOOD, "lost, in our queue, the SDK's or on the way", lost, "nothing"),
                Row(FLOOD, "the run", detail),
            ]
        else:
            rows.append(
                Row(FLOOD, "for comparison, by hand with the SDK's default queues", "; ".join(lost) or "nothing lost")
            )
    return rows


def _lost(sink: OtlpSink, answer: dict[str, Any]) -> list[str]:
    sent = answer["sent"]
    time.sleep(0.5)
    arrived = {
        "spans": (len(sink.spans()), sent * SPANS),
        "log records": (len(sink.logs()), sent * LINES),
    }
    if answer["dropped"] or answer["faults"]:
        return [f"dropped {answer['dropped']} faults {answer['faults']}"]
    counted = sum(point.value for point in sink.latest(names.REQUESTS.name)) - _WARMED
    arrived["requests counted"] = (int(counted), sent)
    return [f"{want - got} of {want} {what}" for what, (got, want) in arrived.items() if got != want]


_WARMED = 60

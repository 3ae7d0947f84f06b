# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Other libraries beside otel-tts in the same run, each in an environment of its own (`make bench-peers`).

A peer records as much of the request as it can: what it cannot is said in its row. Before it is measured, what it
sends is counted: a peer that loses spans is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.builds import Build
from tests.bench.content import SPANS
from tests.bench.crew import Kind, Worker, workers
from tests.bench.peers import environments
from tests.bench.peers.agent import Agent
from tests.bench.report import Against, Row, at_most, missing, plain
from tests.bench.requests import BY_HAND, ENV, OURS, Answers, several
from tests.integration.otlp_sink import OtlpSink

SECTION = "Other libraries, the same request"
ALONE = "Spans alone: one root, five children, no events, metrics or log records"
DDTRACE_LIMIT = 1.0

PEERS = {"openlit": "OpenLIT (no log records)", "logfire": "Logfire (log records as spans)",
         "traceloop": "Traceloop (no log records)"}  # fmt: skip
NATIVE = {"fastotel": "fastotel (native exporter)", "ddtrace": "ddtrace (native)"}

_SPANS_BY_HAND, _SPANS_OURS = "by hand, spans alone", "otel-tts, spans alone"
_CHECKED = 20
_QUEUES = {"OTEL_BSP_MAX_QUEUE_SIZE": "16384", "OTEL_BLRP_MAX_QUEUE_SIZE": "16384"}
_NO_MORE = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def requests(builds: Sequence[Build], folder: Path, rounds: int, count: int) -> list[list[Row]]:
    """The whole request with each peer that is there."""
    kinds: dict[Any, Kind] = {BY_HAND: Kind(BY_HAND)} | {build: Kind(OURS, build) for build in builds}
    there = {peer: build for peer in PEERS if (build := environments.find(peer, folder)) is not None}
    kinds |= {peer: Kind(peer, build, _QUEUES) for peer, build in there.items()}
    with OtlpSink() as sink, workers(sink.env(**ENV), folder, several(kinds)) as crew:
        lost = {peer: _lost(crew[peer, 0], lambda: _count(sink), sink.clear) for peer in there}
        found = Answers(sink, crew, f"go {count}", rounds)

    def rows_of(kind: Any, name: str, said: str = "") -> list[Row]:
        ratio, both = found.ratio, found.both
        return [
            plain(SECTION, f"{name}: path / by hand", ratio(kind, "path"), "×", both(kind, "path"), Against.NO),
            plain(SECTION, f"{name}: CPU / by hand", ratio(kind, "cpu"), "×", both(kind, "cpu") + said, Against.NO),
            plain(SECTION, f"{name}: memory", found.of(kind, "memory"), "MB",
                  f"by hand {found.of(BY_HAND, 'memory'):.0f} MB", Against.NO),
        ]  # fmt: skip

    others: list[Row] = []
    for peer, name in PEERS.items():
        if peer in there:
            others += rows_of(peer, name, lost[peer])
        else:
            others.append(missing(SECTION, name, environments.HINT))
    return [[*rows_of(build, OURS), *others] for build in builds]


def spans(builds: Sequence[Build], folder: Path, rounds: int, count: int, peers: bool) -> list[list[Row]]:
    """Spans alone, where tracers with native code can be compared; without `peers` only by hand."""
    kinds: dict[Any, Kind] = {BY_HAND: Kind(_SPANS_BY_HAND)}
    kinds |= {build: Kind(_SPANS_OURS, build, _NO_MORE) for build in builds}
    native = environments.find("native", folder) if peers else None
    with OtlpSink() as sink, Agent() as agent:
        if native is not None:
            kinds |= {peer: Kind(peer, native, agent.env()) for peer in NATIVE}
        with workers(sink.env(**ENV), folder, several(kinds)) as crew:
            checks: dict[Any, Callable[[], int]] = {kind: lambda: _count(sink) for kind in kinds}
            checks["ddtrace"] = lambda: agent.traces * SPANS
            lost = {kind: _lost(crew[kind, 0], checks[kind], sink.clear) for kind in kinds}
            found = Answers(sink, crew, f"go {count}", rounds)

    def rows_of(kind: Any, name: str, against: Against = Against.NO) -> list[Row]:
        return [
            plain(ALONE, f"{name}: path / by hand", found.ratio(kind, "path"), "×", found.both(kind, "path"), against),
            plain(ALONE, f"{name}: CPU / by hand", found.ratio(kind, "cpu"), "×",
                  found.both(kind, "cpu") + lost[kind], against),
        ]  # fmt: skip

    others: list[Row] = []
    for peer, name in NATIVE.items() if peers else ():
        others += rows_of(peer, name) if native is not None else [missing(ALONE, name, environments.HINT)]
    result: list[list[Row]] = []
    for build in builds:
        rows = rows_of(build, OURS, Against.JUDGED)
        if native is not None:
            ratio, both = found.ratio(build, "cpu", "ddtrace"), found.both(build, "cpu", "ddtrace")
            rows.append(at_most(ALONE, "CPU, otel-tts / ddtrace", ratio, DDTRACE_LIMIT, "", both))
        result.append([*rows, *others])
    return result


def _count(sink: OtlpSink) -> int:
    return len(sink.spans())


def _lost(worker: Worker, arrived: Callable[[], int], clear: Callable[[], None]) -> str:
    """Say what does not arrive of a few requests; nothing where all does."""
    clear()
    before = arrived()
    worker.ask(f"go {_CHECKED}")
    missed = _CHECKED * SPANS - (arrived() - before)
    return f"; {missed} of {_CHECKED * SPANS} spans did not arrive" if missed > 0 else ""

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the bench: each measures one or more builds of otel-tts in turn and answers with the rows of each."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from tests.bench import requests, service, side_by_side, start
from tests.bench.builds import Build
from tests.bench.crew import Kind, ask_once, in_turn, workers
from tests.bench.report import Against, Row, at_most, exactly, plain
from tests.integration.otlp_sink import OtlpSink

STREAM = "A stream of chunks"
STAGE = "A stage on a device, against a span of the SDK with the same attributes and memory event"
TABLE = "A callable that a table names, more than the bare one takes"
EDGE = "The edge of a web application, on the request's path"
PIECES = "Single costs"
IDLE = "A process with nothing to do"
CHUNK_LIMIT = 2.4
EVENTS_LIMIT, HOST_LIMIT = 0.4, 0.15
IDLE_LIMIT, STALL_LIMIT = 1.0, 2.5
SERVER_SPAN_LIMIT, EDGE_LIMIT, MESSAGE_LIMIT = 0.25, 0.05, 2.0

Part = Callable[[Sequence[Build], Path], list[list[Row]]]


def parts(quick: bool, idle_seconds: int, peers: bool) -> dict[str, Part]:
    """Return all parts by name, `quick` ones with rougher numbers, with `peers` beside where they are there."""
    found: dict[str, Part] = {
        "cost": lambda builds, folder: requests.cost(builds, folder, 4 if quick else 7, 200 if quick else 300),
        "flood": lambda builds, folder: requests.flood(builds, folder, 500, 5 if quick else 30, 5 if quick else 10),
        "streams": lambda builds, folder: streams(builds, folder, 20 if quick else 50),
        "stages": lambda builds, folder: stages(builds, folder, 5 if quick else 10),
        "tables": lambda builds, folder: tables(builds, folder, 10 if quick else 30),
        "edges": lambda builds, folder: edges(builds, folder, 10 if quick else 30),
        "service": lambda builds, folder: service.compare(builds, folder, 20 if quick else 100, peers),
        "start": lambda builds, folder: start.compare(builds, folder, 3 if quick else 7, peers),
        "pieces": lambda builds, folder: pieces(builds, folder),
        "stall": lambda builds, folder: stall(builds, folder, 5),
        "idle": lambda builds, folder: idle(builds, folder, idle_seconds),
    }
    if peers:
        rounds, count = (2, 100) if quick else (5, 300)
        found["peers"] = lambda builds, folder: side_by_side.requests(builds, folder, rounds, count)
    found["spans"] = lambda builds, folder: side_by_side.spans(builds, folder, 4 if quick else 7, 200, peers)
    return found


def measure(chosen: dict[str, Part], only: Collection[str], builds: Sequence[Build], folder: Path) -> list[list[Row]]:
    """Run the parts in `only` (all where it is empty), and say on stderr how long each took."""
    rows: list[list[Row]] = [[] for _ in builds]
    for name, part in chosen.items():
        if only and name not in only:
            continue
        began = time.monotonic()
        for mine, more in zip(rows, part(builds, folder), strict=True):
            mine += more
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def streams(builds: Sequence[Build], folder: Path, rounds: int) -> list[list[Row]]:
    """A chunk against a bare wrapper; a long stream against a short one."""

    def rows(found: dict[str, Any]) -> list[Row]:
        ns, ratio, few, many = found["ns"], found["ratio"], found["few"], found["many"]
        differences = [f"{key}: {few[key]} and {many[key]}" for key in few if few[key] != many[key]]
        counts = ", ".join(f"{count} {what}" for what, count in many.items())
        bare = f"bare wrapper {ns['bare']:.0f} ns"

        def chunk(what: str, key: str) -> Row:
            return at_most(STREAM, f"a chunk, {what}", ratio[key], CHUNK_LIMIT, "×", f"{ns[key]:.0f} ns, {bare}")

        return [
            exactly(STREAM, "what 10 and 1000 chunks leave", differences, f"the same: {counts}"),
            chunk("its samples not looked at", "plain"),
            chunk("its samples noted", "samples"),
            plain(STREAM, "a chunk, its samples noted and not in the cache before", ratio["cold samples"], "×",
                  f"{ns['cold samples']:.0f} ns, bare wrapper {ns['cold bare']:.0f} ns"),
            plain(STREAM, "CPU off the path for the 20 s of sound of 1000 chunks", found["off_path_ms"], "ms"),
        ]  # fmt: skip

    return [rows(found) for found in _each(builds, folder, "tests.bench.streams", str(rounds))]


def stages(builds: Sequence[Build], folder: Path, rounds: int) -> list[list[Row]]:
    """What a stage costs on the request's path; the device's own calls are free."""

    def rows(found: dict[str, Any]) -> list[Row]:
        us, ratio = found["us"], found["ratio"]

        def row(what: str, way: str, limit: float | None = None, against: Against = Against.JUDGED) -> Row:
            detail = f"{us[way]:.1f} µs / {us['sdk']:.1f} µs"
            if limit is None:
                return plain(STAGE, what, ratio[way], "×", detail, against)
            return at_most(STAGE, what, ratio[way], limit, "×", detail, against)

        return [
            row("device's clock, with the memory event", "events+memory", EVENTS_LIMIT),
            row("host's clock, no device", "host", HOST_LIMIT),
            row("`auto`, no device", "auto, no device"),
            row("device's clock, `OTEL_TTS_MEMORY_EVENTS=none`", "events"),
            row("host's clock, with the memory event", "host+memory"),
            row("for comparison, the SDK's span without the event", "sdk without event", against=Against.NO),
        ]

    return [rows(found) for found in _each(builds, folder, "tests.bench.stage_cost", str(rounds))]


def tables(builds: Sequence[Build], folder: Path, rounds: int) -> list[list[Row]]:
    """What each kind of a table's lines costs when it is called."""
    whats = {
        "speak": "an entry, with the whole of its request on the path",
        "part": "an entry inside another",
        "plain": "a seam", "folded": "a seam that is folded", "facts": "a seam with a fact",
        "finish": "a seam that says why it ended", "idle": "a seam outside of a request",
    }  # fmt: skip

    def rows(found: dict[str, Any]) -> list[Row]:
        return [plain(TABLE, what, found["us"][way], "µs") for way, what in whats.items()]

    return [rows(found) for found in _each(builds, folder, "tests.bench.table_cost", str(rounds))]


def edges(builds: Sequence[Build], folder: Path, rounds: int) -> list[list[Row]]:
    """What the edge adds to a request and to a message of a WebSocket."""

    def rows(found: dict[str, Any]) -> list[Row]:
        us, ratio, ns = found["us"], found["ratio"], found["message_ns"]

        def request(what: str, way: str, limit: float) -> Row:
            return at_most(EDGE, what, ratio[way], limit, "×", f"{us[way]:.1f} µs / {us['contrib']:.1f} µs")

        message = f"{ns['ours']:.0f} ns / {ns['wrapper']:.0f} ns, {ns['bare']:.0f} ns without either"
        return [
            request("id, caller's context and server span, against OpenTelemetry's middleware", "server span",
                    SERVER_SPAN_LIMIT),
            request("id alone (`OTEL_TTS_SERVER_SPAN=contrib`), against the same", "no server span", EDGE_LIMIT),
            at_most(EDGE, "a message of a WebSocket, against a wrapper", found["message"], MESSAGE_LIMIT, "×", message),
        ]  # fmt: skip

    asgi = [rows(found) for found in _each(builds, folder, "tests.bench.edge_cost", str(rounds))]
    wsgi = [_wsgi(found) for found in _each(builds, folder, "tests.bench.wsgi_cost", str(rounds))]
    return [one + other for one, other in zip(asgi, wsgi, strict=True)]


def _wsgi(found: dict[str, Any]) -> list[Row]:
    """The rows of `edges` for an application of WSGI, whose middleware of OpenTelemetry's is the yardstick."""

    def request(what: str, way: str, limit: float) -> Row:
        us = found["us"]
        return at_most(EDGE, what, found["ratio"][way], limit, "×", f"{us[way]:.1f} µs / {us['contrib']:.1f} µs")

    return [
        request("WSGI: the same, against OpenTelemetry's WSGI middleware", "server span", SERVER_SPAN_LIMIT),
        request("WSGI: id alone, against the same", "no server span", EDGE_LIMIT),
    ]


def pieces(builds: Sequence[Build], folder: Path) -> list[list[Row]]:
    """What no target speaks of."""

    def rows(found: dict[str, Any]) -> list[Row]:
        seconds = f"of {found['audio_s']:.0f} s of sound at 24 kHz"
        return [
            plain(PIECES, "memory of a request that waits in the queue, without sound", found["record_kb"], "KiB"),
            plain(PIECES, "privacy gate, off the path, per span", found["gate_span_us"], "µs"),
            plain(PIECES, "privacy gate, off the path, per log record", found["gate_log_us"], "µs"),
            plain(PIECES, "web edge (request id in and out), on the path, per request", found["edge_us"], "µs"),
            plain(PIECES, f"keeping a copy, on the path, {seconds}", found["audio_path_us"], "µs"),
            plain(PIECES, f"measuring, off the path, {seconds}", found["audio_off_ms"], "ms"),
        ]

    return [rows(found) for found in _each(builds, folder, "tests.bench.pieces")]


def stall(builds: Sequence[Build], folder: Path, times: int) -> list[list[Row]]:
    """How long another thread waits for the interpreter while a burst is worked off."""
    what = "longest stall of another Python thread while 1500 requests are worked off, in CPU time, otel-tts / by hand"
    by_hand, nothing = requests.BY_HAND, requests.NOTHING
    kinds: dict[Any, Kind] = {by_hand: Kind(by_hand), nothing: Kind(nothing)}
    kinds |= {build: Kind(requests.OURS, build) for build in builds}
    found: dict[Any, list[float]] = {kind: [] for kind in kinds}
    with OtlpSink() as sink, workers(sink.env(**requests.ENV), folder, kinds) as crew:
        for kind, answer in in_turn(crew, "stall 1500", times):
            found[kind].append(answer["stall"])
            sink.clear()
    middle = {kind: statistics.median(stalls) for kind, stalls in found.items()}

    def row(build: Build) -> Row:
        detail = f"{middle[build]:.2g} ms / {middle[by_hand]:.2g} ms, {middle[nothing]:.2g} ms with nothing to do"
        return at_most(PIECES, what, middle[build] / middle[by_hand], STALL_LIMIT, "", detail, Against.SHOWN)

    return [[row(build)] for build in builds]


def idle(builds: Sequence[Build], folder: Path, seconds: int) -> list[list[Row]]:
    """CPU of processes that do nothing, all at the same time, with the default settings."""
    kinds: dict[Any, Kind] = {requests.BY_HAND: Kind(requests.BY_HAND)}
    kinds |= {build: Kind(requests.OURS, build) for build in builds}
    with OtlpSink() as sink, workers(sink.env(), folder, kinds) as crew:
        for worker in crew.values():
            worker.send(f"idle {seconds}")
        spent = {kind: worker.answer()["idle"] for kind, worker in crew.items()}

    def row(build: Build) -> Row:
        more = spent[build] - spent[requests.BY_HAND]
        detail = f"{spent[build]:.2g} ms / {spent[requests.BY_HAND]:.2g} ms, over {seconds} s"
        what = "CPU in a second, otel-tts more than by hand"
        return at_most(IDLE, what, more, IDLE_LIMIT, " ms", detail, Against.SHOWN)

    return [[row(build)] for build in builds]


def _each(builds: Sequence[Build], folder: Path, module: str, *args: str) -> list[dict[str, Any]]:
    """Ask some processes of each build in turn, and return the medians for each."""
    found: dict[Build, list[dict[str, Any]]] = {build: [] for build in builds}
    with OtlpSink() as sink:
        for _ in range(requests.EACH):
            for build in builds:
                found[build].append(ask_once(module, *args, env=sink.env(), folder=folder, build=build))
    return [_medians(answers) for answers in found.values()]


def _medians(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        key: _medians([answer[key] for answer in answers])
        if isinstance(value, dict)
        else statistics.median(answer[key] for answer in answers)
        for key, value in answers[0].items()
    }

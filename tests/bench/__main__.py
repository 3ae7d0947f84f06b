# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bench``: what otel-tts costs. See docs/overhead.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import report, requests, service, start
from tests.bench.crew import ROOT, ask_once, workers
from tests.bench.report import Row, at_most, exactly, plain
from tests.integration.otlp_sink import OtlpSink

STREAM = "A stream of chunks"
STAGE = "A stage on a device, against a span of the SDK with the same attributes and memory event"
PIECES = "Single costs"
CHUNK_LIMIT = 3.0
EVENTS_LIMIT, HOST_LIMIT = 0.4, 0.15


def streams(folder: Path, rounds: int) -> list[Row]:
    """A chunk against a bare wrapper; a long stream against a short one."""
    with OtlpSink() as sink:
        found = ask_once("tests.bench.streams", str(rounds), env=sink.env(), folder=folder)
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


def stages(folder: Path, rounds: int) -> list[Row]:
    """What a stage costs on the request's path; the device's own calls are free."""
    with OtlpSink() as sink:
        found = ask_once("tests.bench.stage_cost", str(rounds), env=sink.env(), folder=folder)
    us, ratio = found["us"], found["ratio"]

    def row(what: str, way: str, limit: float | None = None) -> Row:
        detail = f"{us[way]:.1f} µs / {us['sdk']:.1f} µs"
        if limit is None:
            return plain(STAGE, what, ratio[way], "×", detail)
        return at_most(STAGE, what, ratio[way], limit, "×", detail)

    return [
        row("device's clock, with the memory event", "events+memory", EVENTS_LIMIT),
        row("host's clock, no device", "host", HOST_LIMIT),
        row("`auto`, no device", "auto, no device"),
        row("device's clock, `OTEL_TTS_MEMORY_EVENTS=none`", "events"),
        row("host's clock, with the memory event", "host+memory"),
        row("for comparison, the SDK's span without the event", "sdk without event"),
    ]


def pieces(folder: Path) -> list[Row]:
    """What no target speaks of."""
    with OtlpSink() as sink:
        found = ask_once("tests.bench.pieces", env=sink.env(), folder=folder)
        with workers(sink.env(), folder, [requests.OURS, requests.NOTHING]) as crew:
            stalls = {name: worker.ask("stall 1500")["stall"] for name, worker in crew.items()}
    seconds = f"of {found['audio_s']:.0f} s of sound at 24 kHz"
    return [
        plain(PIECES, "memory of a request that waits in the queue, without sound", found["record_kb"], "KiB"),
        plain(PIECES, "longest stall of another Python thread while 1500 requests are drained", stalls[requests.OURS],
              "ms", f"{stalls[requests.NOTHING]:.2g} ms with nothing to do"),
        plain(PIECES, "privacy gate, off the path, per span", found["gate_span_us"], "µs"),
        plain(PIECES, "privacy gate, off the path, per log record", found["gate_log_us"], "µs"),
        plain(PIECES, "web edge (request id in and out), on the path, per request", found["edge_us"], "µs"),
        plain(PIECES, f"keeping a copy, on the path, {seconds}", found["audio_path_us"], "µs"),
        plain(PIECES, f"measuring, off the path, {seconds}", found["audio_off_ms"], "ms"),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure what otel-tts costs.")
    parser.add_argument("--quick", action="store_true", help="a minute instead of five; rougher numbers")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--write", action="store_true", help="put the table into docs/overhead.md")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--only", nargs="+", metavar="PART", help="of the measurements, by name")
    options = parser.parse_args()
    quick = options.quick
    if options.write and options.only:
        parser.error("--write needs all parts, not --only some")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, Callable[[], list[Row]]] = {
            "cost": lambda: requests.cost(folder, 5 if quick else 21, 200 if quick else 300),
            "flood": lambda: requests.flood(folder, 500, 5 if quick else 30, 5 if quick else 10),
            "streams": lambda: streams(folder, 30 if quick else 150),
            "stages": lambda: stages(folder, 8 if quick else 25),
            "service": lambda: service.compare(folder, 40 if quick else 400),
            "start": lambda: start.compare(3 if quick else 7),
            "pieces": lambda: pieces(folder),
        }
        if unknown := set(options.only or ()) - set(parts):
            parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
        rows: list[Row] = []
        for part, measure in parts.items():
            if options.only and part not in options.only:
                continue
            began = time.monotonic()
            rows += measure()
            print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(json.dumps(report.as_json(rows), indent=1, ensure_ascii=False) if options.json else report.table(rows))
    if options.write:
        report.write(ROOT / "docs" / "overhead.md", rows, quick)
    missed = [row for row in rows if row.met is False]
    if missed and not options.json:
        print(
            f"\n{len(missed)} of {sum(row.met is not None for row in rows)} targets missed on this machine, this time"
        )
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())

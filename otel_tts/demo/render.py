# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's result for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otel_tts import names
from otel_tts.demo.report import Row
from otel_tts.readers.otlp_files import LogLine, Span
from otel_tts.views import waterfall
from otel_tts.views.uncut import print_uncut

_ROOMY: Final = 110
UNKNOWN: Final = "–"
_COLORS: Final = {"ok": "green", "anomalous": "yellow", "cancelled": "yellow", "error": "red", "rejected": "yellow"}


def print_request(console: Console, spans: list[Span], lines: list[LogLine]) -> None:
    """One request: headed by its id, its trace as a waterfall, and its log lines below."""
    who = spans[0].attributes.get(names.REQUEST_ID, UNKNOWN)
    head = f"Request {who}, the slowest that went well (trace {spans[0].trace_id}):"
    console.print(head, style="bold", markup=False, soft_wrap=True)
    console.print(waterfall.draw(spans, console.width))
    for line in sorted(lines, key=lambda line: line.time):
        console.print(str(line.body), markup=False, soft_wrap=True)


def print_table(console: Console, rows: list[Row]) -> None:
    """One line a request. No request id is cut: a terminal that is too narrow shows less of the rest."""
    roomy = console.width >= _ROOMY
    table = Table(box=None, pad_edge=False, padding=(0, 2 if roomy else 1, 0, 0), header_style="bold")
    for title in ("request_id", "request", "outcome"):
        table.add_column(title, no_wrap=True)
    for title, form in _NUMBERS.items():
        if roomy or form.always:
            table.add_column(title, justify="right", no_wrap=True)
    table.add_column("remarks")
    for row in rows:
        table.add_row(
            row.request_id or UNKNOWN,
            row.kind,
            Text(row.outcome or UNKNOWN, style=_COLORS.get(row.outcome or "", "")),
            *(form.of(row) for form in _NUMBERS.values() if roomy or form.always),
            ", ".join([*row.anomalies, *([row.error_type] if row.error_type else [])]),
        )
    print_uncut(console, table)


@dataclass(frozen=True)
class _Number:
    of: Callable[[Row], str]
    always: bool = False


_NUMBERS: Final = {
    "status": _Number(lambda row: str(row.status_code), always=True),
    "characters": _Number(lambda row: str(row.text_length)),
    "audio\ns": _Number(lambda row: number(row.audio_duration, "{:.2f}")),
    "rtf\ns/s": _Number(lambda row: number(row.real_time_factor, "{:.3f}")),
    "first sound\nheard, ms": _Number(lambda row: milliseconds(row.time_to_first_audio)),
    "took\nms": _Number(lambda row: milliseconds(row.duration), always=True),
}


def print_summary(console: Console, summary: dict[str, Any]) -> None:
    """Counts, quantiles and files in a few lines."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in summary["outcomes"].items())
    took, factor = summary["duration"], summary["real_time_factor"]
    lines = {
        "requests": f"{len(summary['requests'])}: {outcomes}",
        "synthesis": f"P50 {milliseconds(took['p50'])} ms, P95 {milliseconds(took['p95'])} ms, when it went well",
        "real-time factor": f"P50 {number(factor['p50'], '{:.3f}')}, P95 {number(factor['p95'], '{:.3f}')}",
        "telemetry": f"{summary['spans']} spans, {summary['log_lines']} log lines, "
        f"{summary['metrics']} metrics in {summary['series']} series",
    }
    for title, text in lines.items():
        console.print(Text.assemble((f"{title:<18}", "bold"), text))
    for path, size in summary["files"].items():
        console.print(Text.assemble(f"{size:>12,} bytes  ", path), soft_wrap=True)


def number(value: float | None, form: str) -> str:
    """`value` in `form`, or a dash when it is not known."""
    return UNKNOWN if value is None else form.format(value)


def milliseconds(seconds: float | None) -> str:
    """`seconds` as milliseconds, or a dash when not known."""
    return UNKNOWN if seconds is None else f"{seconds * 1e3:.1f}"

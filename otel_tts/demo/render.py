# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's result for a person at a terminal."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otel_tts.demo.report import Row

UNKNOWN: Final = "–"
_COLORS: Final = {"ok": "green", "anomalous": "yellow", "cancelled": "yellow", "error": "red", "rejected": "yellow"}


def table_of(rows: list[Row], width: int) -> Table:
    """One line a request, on a terminal of `width` characters; of a long id a narrow one shows the beginning."""
    table = Table(box=None, pad_edge=False, padding=(0, 1 if width < 110 else 2, 0, 0), header_style="bold")
    table.add_column("request_id", overflow="ellipsis")
    for title in ("request", "outcome"):
        table.add_column(title, no_wrap=True)
    for title in ("status", "chars", "audio s", "rtf", "first\naudio ms", "took\nms"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("remarks")
    for row in rows:
        table.add_row(
            row.request_id or UNKNOWN,
            row.kind,
            Text(row.outcome or UNKNOWN, style=_COLORS.get(row.outcome or "", "")),
            str(row.status_code),
            str(row.text_length),
            number(row.audio_duration, "{:.2f}"),
            number(row.real_time_factor, "{:.3f}"),
            milliseconds(row.time_to_first_audio),
            milliseconds(row.duration),
            ", ".join([*row.anomalies, *([row.error_type] if row.error_type else [])]),
        )
    return table


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

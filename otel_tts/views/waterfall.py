# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A trace as a waterfall in the terminal: the tree of spans, each with a bar where it lies in time, and its lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from otel_tts import names
from otel_tts.readers.model import LogLine, Span
from otel_tts.views.printable import printable

_ROOMY: Final = 110  # characters; a terminal narrower than that gets bars of half the width
NARROW: Final = 60
"""Characters of a terminal below which there are no bars."""

_BAR: Final = 32
MOST: Final = 200
"""Rows of spans, and of lines; what is beyond it is counted."""

# What is worth a column's space, with how it is said.
_NOTES: Final = {
    "http.response.status_code": "status {}",
    names.OUTCOME: "{}",
    names.COLD_START: "cold start",
    names.AUDIO_DURATION: "{:.2f} s of audio",
    names.REAL_TIME_FACTOR: "rtf {:.3f}",
    names.TIME_TO_FIRST_AUDIO: "first sound heard at {:.3f} s",
    names.AUDIO_ANOMALY: "{}",
    names.STAGE_SEGMENTS: "{} segments",
    names.ERROR_TYPE: "{}",
    names.GPU_ELAPSED: "{:.4g} s on the device",
    names.STAGE_HOST_DURATION: "{:.4g} s on the host",
    names.GPU_QUEUE_DELAY: "waited {:.4g} s for the device",
}
_MIB: Final = 2**20


@dataclass(frozen=True)
class Line:
    """One span, `offset` and `length` as shares of the whole trace's time."""

    span: Span
    branch: str
    offset: float
    length: float


def lay_out(spans: Iterable[Span]) -> list[Line]:
    """Arrange the spans of one trace as a tree; a span whose parent is not among them stands at the left edge."""
    spans = list(spans)
    if not spans:
        return []
    begin = min(span.start for span in spans)
    whole = max(span.end for span in spans) - begin or 1
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        children[span.parent_id if span.parent_id in known else ""].append(span)
    return [
        Line(span, branch, (span.start - begin) / whole, (span.end - span.start) / whole)
        for span, branch in _walk(children, "", "")
    ]


def _walk(children: dict[str, list[Span]], parent: str, indent: str) -> Iterator[tuple[Span, str]]:
    siblings = children.pop(parent, [])
    for span in siblings:
        last = span is siblings[-1]
        top = parent == ""
        yield span, "" if top else indent + ("└─ " if last else "├─ ")
        yield from _walk(children, span.span_id, "" if top else indent + ("   " if last else "│  "))


def draw(spans: Iterable[Span], width: int, lines: Iterable[LogLine] = ()) -> Table:
    """Return the waterfall of one trace's spans for a terminal of `width` characters, ready to print.

    `lines` stand among them, each under the last span that had begun by then. Where there is no room for bars there are
    none, so that no number is cut.
    """
    widest = _BAR if width >= _ROOMY else _BAR // 2 if width >= NARROW else 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("span", no_wrap=True)
    table.add_column("time", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("what it says", style="dim")
    rows = lay_out(spans)
    said = _among(rows, sorted(lines, key=lambda line: line.time))
    shown = rows[:MOST]
    for place, row in enumerate(shown):
        color = _color(row.span)
        name = Text.assemble((row.branch, "dim"), (printable(row.span.name), color))
        took = f"{row.span.seconds * 1e3:.1f} ms"
        table.add_row(name, Text(bar(row, widest), style=color), took, Text(notes(row.span)))
        for line in said.get(place, ())[:MOST]:
            table.add_row(*_line(line, rows, widest))
    if len(rows) > len(shown):
        table.add_row(Text(f"… and {len(rows) - len(shown)} spans more", style="dim"))
    return table


def _among(rows: Sequence[Line], lines: Sequence[LogLine]) -> dict[int, list[LogLine]]:
    """The lines by the row that they stand under: within their own span, the last one that had begun by then."""
    places = {row.span.span_id: place for place, row in enumerate(rows)}
    found: dict[int, list[LogLine]] = defaultdict(list)
    for line in lines[: 5 * MOST]:
        at = first = places.get(line.span_id, 0)
        for place in range(first + 1, min(len(rows), MOST)):
            row = rows[place]
            if line.span_id in places and len(row.branch) <= len(rows[first].branch):
                break  # out of its span
            if row.span.start <= line.time:
                at = place
        found[at].append(line)
    return found


def _line(line: LogLine, rows: Sequence[Line], widest: int) -> tuple[Text, Text, str, Text]:
    begin = min(row.span.start for row in rows)
    whole = max(row.span.end for row in rows) - begin or 1
    place = max(0, min(int((line.time - begin) / whole * widest), widest - 1))
    grave = line.severity.upper().startswith(("WARN", "ERR", "CRIT", "FATAL"))
    return (
        Text(printable(line.event_name or line.severity or "line", 40).rjust(12), style="yellow" if grave else "dim"),
        Text(" " * place + "╷" if widest else "", style="dim"),
        f"@ {(line.time - begin) / 1e6:.1f} ms",
        Text(printable(line.body), style="yellow" if grave else ""),
    )


def bar(line: Line, widest: int) -> str:
    """A bar of at least one character, of `widest` for the whole trace; none where that is 0."""
    if not widest:
        return ""
    begin = min(int(line.offset * widest), widest - 1)
    end = max(begin + 1, round((line.offset + line.length) * widest))
    return " " * begin + "█" * (min(end, widest) - begin)


def notes(span: Span) -> str:
    """The attributes that matter most, in a few words."""
    said = [_say(form, span.attributes.get(key)) for key, form in _NOTES.items()]
    if (peak := _peak(span)) is not None:
        said.append(f"peak {peak / _MIB:,.0f} MiB")
    if span.status == "error":
        said.append("failed")
    return " · ".join(part for part in said if part)


def _peak(span: Span) -> float | None:
    """The highest allocation, of the span or of its event."""
    known = [
        span.attributes.get(names.MEMORY_PEAK),
        *(event.attributes.get(names.MEMORY_PEAK) for event in span.events),
    ]
    return max((float(one) for one in known if isinstance(one, (int, float))), default=None)


def _say(form: str, value: Any) -> str:
    if value is None or value is False or value == []:
        return ""
    shown = ", ".join(map(str, value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    try:
        return printable(form.format(shown))
    except (ValueError, TypeError):  # a foreign file may have text where a number belongs
        return printable(shown)


def _color(span: Span) -> str:
    if span.status == "error":
        return "red"
    return {"server": "cyan"}.get(span.kind, "green" if names.STAGE in span.attributes else "blue")

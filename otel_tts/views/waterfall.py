# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A trace as a waterfall in the terminal: the tree of spans, each with a bar where it lies in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from otel_tts import names
from otel_tts.readers.model import Span

_ROOMY: Final = 110  # characters; a terminal narrower than that gets bars of half the width
_BAR: Final = 32

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
}


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


def draw(spans: Iterable[Span], width: int) -> Table:
    """Return the waterfall of one trace's spans for a terminal of `width` characters, ready to print."""
    widest = _BAR if width >= _ROOMY else _BAR // 2
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("span", no_wrap=True)
    table.add_column("time", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("what it says", style="dim")
    for line in lay_out(spans):
        color = _color(line.span)
        name = Text.assemble((line.branch, "dim"), (line.span.name, color))
        table.add_row(
            name, Text(bar(line, widest), style=color), f"{line.span.seconds * 1e3:.1f} ms", Text(notes(line.span))
        )
    return table


def bar(line: Line, widest: int) -> str:
    """A bar of at least one character, of `widest` for the whole trace."""
    begin = min(int(line.offset * widest), widest - 1)
    end = max(begin + 1, round((line.offset + line.length) * widest))
    return " " * begin + "█" * (min(end, widest) - begin)


def notes(span: Span) -> str:
    """The attributes that matter most, in a few words."""
    said = (_say(form, span.attributes.get(key)) for key, form in _NOTES.items())
    return " · ".join(part for part in said if part)


def _say(form: str, value: Any) -> str:
    if value is None or value is False or value == []:
        return ""
    return form.format(", ".join(map(str, value)) if isinstance(value, list) else value)  # pyright: ignore[reportUnknownArgumentType]


def _color(span: Span) -> str:
    if span.status == "error":
        return "red"
    return {"server": "cyan"}.get(span.kind, "green" if names.STAGE in span.attributes else "blue")

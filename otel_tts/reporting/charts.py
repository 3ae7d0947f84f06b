# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Charts of a month's days as SVG, for a page and for paper alike: no script, no style from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 720
HEIGHT: Final = 172
_LEFT: Final = 62
_RIGHT: Final = 8
_TOP: Final = 12
_BOTTOM: Final = 26
_BLUE: Final = "#2f6db5"
_RED: Final = "#c8442f"
_GREY: Final = "#e3e5e8"
_LINE: Final = "#c9ced6"
FONT: Final = "Noto Sans SC, Noto Sans CJK SC, Microsoft YaHei, PingFang SC, sans-serif"

Days = Sequence[float | None]


def bars(days: Days, failed: Days, label: Callable[[float], str], missing: str, name: str) -> str:
    """A bar a day, its failed part in red; grey where nothing is known."""
    top = _ceiling(max((day for day in days if day), default=1.0))
    step = (WIDTH - _LEFT - _RIGHT) / len(days)
    drawn = [*_grid(top, label), *_numbers(len(days), step)]
    for number, (count, wrong) in enumerate(zip(days, failed, strict=True)):
        x, width = _LEFT + number * step + step * 0.12, step * 0.76
        if count is None:
            drawn.append(_rectangle(x, _y(top, top), width, _y(0, top) - _y(top, top), _GREY, missing))
            continue
        drawn.append(_rectangle(x, _y(count, top), width, _y(0, top) - _y(count, top), _BLUE, label(count)))
        if wrong:
            drawn.append(_rectangle(x, _y(wrong, top), width, _y(0, top) - _y(wrong, top), _RED, label(wrong)))
    return _svg(drawn, name)


def line(days: Days, label: Callable[[float], str], name: str) -> str:
    """A share of each day as a line that is broken where nothing is known."""
    low = min((day for day in days if day is not None), default=0.0)
    floor = 0.0 if low < 0.5 else math.floor(low * 10 - 1e-9) / 10
    floor = min(floor, 0.9)
    step = (WIDTH - _LEFT - _RIGHT) / len(days)

    def y(share: float) -> float:
        return _y(share - floor, 1.0 - floor)

    ticks = [floor + (1 - floor) * part / 2 for part in range(3)]
    drawn = [text for tick in ticks for text in _tick(y(tick), label(tick))] + _numbers(len(days), step)
    for row in _rows(days):
        places = [(_LEFT + (number + 0.5) * step, y(share)) for number, share in row]
        path = " ".join(f"{x:.1f},{at:.1f}" for x, at in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{_BLUE}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{at:.1f}" r="2.6" fill="{_BLUE}"/>' for x, at in places]
    return _svg(drawn, name)


def _rows(days: Days) -> Iterator[list[tuple[int, float]]]:
    """The days of which something is known, those in a row together."""
    row: list[tuple[int, float]] = []
    for number, share in enumerate((*days, None)):
        if share is not None:
            row.append((number, share))
        elif row:
            yield row
            row = []


def _ceiling(most: float) -> float:
    """A round number that is not below `most`, and that halves well."""
    unit = 10 ** math.floor(math.log10(most)) if most > 0 else 1.0
    return max(2.0, next(part * unit for part in (1, 2, 4, 6, 8, 10) if part * unit >= most))


def _grid(top: float, label: Callable[[float], str]) -> list[str]:
    return [text for part in range(3) for text in _tick(_y(top * part / 2, top), label(top * part / 2))]


def _tick(y: float, text: str) -> tuple[str, str]:
    return (
        f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LINE}" stroke-width="0.7"/>',
        f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>',
    )


def _numbers(count: int, step: float) -> list[str]:
    """The numbers of the days below them: the first, and each fifth."""
    shown = [number for number in range(count) if number == 0 or (number + 1) % 5 == 0]
    return [
        f'<text x="{_LEFT + (number + 0.5) * step:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{number + 1}</text>'
        for number in shown
    ]


def _y(value: float, top: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _rectangle(x: float, y: float, width: float, height: float, colour: str, title: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0.0):.1f}"'
    return f'<rect {place} fill="{colour}"><title>{escape(title)}</title></rect>'


def _svg(drawn: Sequence[str], name: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    named = f'aria-label="{escape(name, {chr(34): "&quot;"})}" font-family="{FONT}" font-size="12" fill="#4a5260"'
    return f"{head} {named}>{''.join(drawn)}</svg>"

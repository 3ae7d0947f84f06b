# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""This checkout against an earlier build: every figure of both, measured in turn, several times in one run."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tests.bench.builds import Build
from tests.bench.parts import Part, measure
from tests.bench.report import Against, Row

TIMES = 5
LIMIT_PERCENT = 5.0


def why_not(wheel: Path) -> str | None:
    """Say what is wrong with the file of an earlier build, None where nothing is."""
    if not wheel.is_file():
        return f"there is no wheel {wheel}; python -m build --wheel makes one in the checkout of an earlier commit"
    try:
        with ZipFile(wheel) as archive:
            names = archive.namelist()
    except (BadZipFile, OSError) as error:
        return f"{wheel} is no wheel: {error}"
    if wheel.suffix != ".whl" or "otel_tts/__init__.py" not in names:
        return f"{wheel} is no wheel of otel-tts"
    return None


def compare(
    new: Build, old: Build, chosen: dict[str, Part], only: Collection[str], folder: Path, times: int, percent: float
) -> list[Row]:
    """Measure both `times` times, who is first alternating. A row's number is the median of the ratios new / old."""
    found: tuple[list[list[Row]], list[list[Row]]] = ([], [])
    for turn in range(times):
        print(f"run {turn + 1} of {times}", file=sys.stderr, flush=True)
        order = (new, old) if turn % 2 else (old, new)
        rows = dict(zip(order, measure(chosen, only, order, folder), strict=True))
        found[0].append(rows[new])
        found[1].append(rows[old])
    return [
        row
        for news, olds in zip(zip(*found[0], strict=True), zip(*found[1], strict=True), strict=True)
        if (row := _row(news, olds, percent)) is not None
    ]


def _row(news: Sequence[Row], olds: Sequence[Row], percent: float) -> Row | None:
    """What the same row of all runs comes to; None where otel-tts has no part in it."""
    first = news[0]
    if first.against is Against.NO:
        return _kept(news) if first.met is not None else None
    pairs = [(a.number, b.number) for a, b in zip(news, olds, strict=True)]
    ratios = [a / b for a, b in pairs if a is not None and b is not None and b > 0]
    if len(ratios) < len(pairs):
        return Row(first.section, first.what, "no ratio: the earlier build's is not above 0")
    ratio, limit = statistics.median(ratios), 1 + percent / 100
    middle = [statistics.median(number or 0.0 for number in side) for side in zip(*pairs, strict=True)]
    shown = f"{ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}; {middle[0]:.3g} / {middle[1]:.3g})"
    if first.against is Against.SHOWN:
        return Row(first.section, first.what, shown, ratio)
    return Row(first.section, first.what, shown, ratio, f"≤ {limit:g}", ratio <= limit)


def _kept(news: Sequence[Row]) -> Row:
    """A row that holds or does not: the first run in which it does not, else the last."""
    return replace(next((row for row in news if not row.met), news[-1]))

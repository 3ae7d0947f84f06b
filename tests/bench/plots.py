# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Bar charts of a run, as SVG: ``python -m tests.bench.plots RUN.json FOLDER``; ``--write`` puts them into docs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from tests.bench import service, side_by_side, start
from tests.bench.report import Row

_BY_HAND = "by hand, with the SDK"
_OURS = "otel-tts"
_LETTER, _BAR, _RIGHT, _STEP, _TOP = 7, 400, 90, 30, 48
_INK, _ACCENT, _GREY = "#1f2328", "#0969da", "#afb8c1"


@dataclass(frozen=True)
class Plot:
    """A bar for each row of `section` whose words match `words` as a whole; the first group names it."""

    file: str
    title: str
    section: str
    words: str
    unit: str
    by_hand_is_one: bool = False

    def bars(self, rows: Sequence[Row]) -> list[tuple[str, float]]:
        """Names and values; none where there is nothing to compare."""
        found = [(_BY_HAND, 1.0)] if self.by_hand_is_one else []
        for row in rows:
            match = re.fullmatch(self.words, row.what)
            if row.section == self.section and match and row.number is not None:
                found.append((match[1].replace("`", ""), row.number))
        return found if len(found) > 1 else []


_REQUEST, _ALONE = side_by_side.SECTION, side_by_side.ALONE
PLOTS = (
    Plot("request-path", "The request: time on its path, by hand = 1", _REQUEST, "(.+): path / by hand", "×", True),
    Plot("request-cpu", "The request: CPU of the process, by hand = 1", _REQUEST, "(.+): CPU / by hand", "×", True),
    Plot("request-memory", "The request: memory of the process", _REQUEST, "(.+): memory", "MB"),
    Plot("spans-path", "Spans alone: time on the path, by hand = 1", _ALONE, "(.+): path / by hand", "×", True),
    Plot("spans-cpu", "Spans alone: CPU of the process, by hand = 1", _ALONE, "(.+): CPU / by hand", "×", True),
    Plot("fastapi", "Added to a request of hibari through FastAPI", service.SECTION, "added (.+)", "ms"),
    Plot("start", "Starting a process", start.SECTION, "((?:`|uvicorn).+)", "s"),
)


def write(folder: Path, rows: Sequence[Row]) -> list[tuple[Plot, Path]]:
    """Write what there is to compare in `rows`; return what was written. What an earlier run left goes."""
    folder.mkdir(parents=True, exist_ok=True)
    for plot in PLOTS:
        _path(folder, plot).unlink(missing_ok=True)
    written: list[tuple[Plot, Path]] = []
    for plot in PLOTS:
        if bars := plot.bars(rows):
            path = _path(folder, plot)
            path.write_text(draw(plot, bars), encoding="utf-8")
            written.append((plot, path))
    return written


def _path(folder: Path, plot: Plot) -> Path:
    return folder / f"{plot.file}.svg"


def draw(plot: Plot, bars: Sequence[tuple[str, float]]) -> str:
    """Return a chart of horizontal bars as SVG; less is better."""
    left = 30 + _LETTER * max(len(name) for name, _ in bars)
    width, height = left + _BAR + _RIGHT, _TOP + _STEP * len(bars) + 12
    svg = Xml.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}",
        width=str(width), height=str(height), role="img",
        style="font: 13px system-ui, sans-serif",
    )  # fmt: skip
    Xml.SubElement(svg, "title").text = plot.title
    Xml.SubElement(svg, "rect", width=str(width), height=str(height), fill="white")
    _text(svg, 16, 26, f"{plot.title} (less is better)", weight="600")
    scale = _BAR / max(*(value for _, value in bars), 1e-9)
    for number, (name, value) in enumerate(bars):
        top, length = _TOP + number * _STEP, max(value * scale, 1.0)
        color = _ACCENT if _OURS in name else _GREY
        _text(svg, left - 10, top + 15, name, anchor="end")
        Xml.SubElement(svg, "rect", x=str(left), y=str(top), width=f"{length:.1f}", height="20", rx="2", fill=color)
        _text(svg, left + length + 8, top + 15, f"{value:.3g} {plot.unit}")
    return Xml.tostring(svg, encoding="unicode") + "\n"


def _text(svg: Xml.Element, x: float, y: float, words: str, anchor: str = "start", weight: str = "400") -> None:
    text = Xml.SubElement(svg, "text", {"text-anchor": anchor, "font-weight": weight}, x=f"{x:.1f}", y=f"{y:.1f}")
    text.set("fill", _INK)
    text.text = words


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plots", description=__doc__)
    parser.add_argument("run", type=Path, help="what python -m tests.bench --json has printed")
    parser.add_argument("folder", type=Path, help="where the charts go")
    options = parser.parse_args()
    try:
        rows = [Row(**row) for row in json.loads(options.run.read_text(encoding="utf-8"))["rows"]]
    except OSError as error:
        parser.error(f"{options.run} cannot be read: {error.strerror}")
    except (ValueError, TypeError, KeyError):
        parser.error(f"{options.run} is not what python -m tests.bench --json prints")
    written = write(options.folder, rows)
    for _, path in written:
        print(path)
    if not written:
        print("nothing in this run to compare: it needs peers, see make bench-peers", file=sys.stderr)
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())

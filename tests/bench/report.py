# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of measurements: as a table for people, as Markdown for docs/overhead.md, as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

BEGIN = "<!-- written by python -m tests.bench --write -->"
END = "<!-- end -->"


class Against(str, Enum):
    """Whether a number is compared with that of an earlier build."""

    NO = "no"
    """otel-tts has no part in it."""
    SHOWN = "shown"
    """No cost that anybody has, or one that two runs of one build differ in by more than the limit: an extreme value, a
    small difference of large ones."""
    JUDGED = "judged"
    """A median that is worse by more than the limit is a fault."""


@dataclass(frozen=True)
class Row:
    """`value` is shown; `number` is for programs; `met` None where there is no target.

    `against` says what an earlier build's number is to it (`python -m tests.bench --against`).
    """

    section: str
    what: str
    value: str
    number: float | None = None
    target: str = ""
    met: bool | None = None
    against: Against = Against.NO


def at_most(
    section: str, what: str, number: float, limit: float, unit: str = "", detail: str = "",
    against: Against = Against.JUDGED,
) -> Row:  # fmt: skip
    """A row with an upper bound as its target."""
    shown = f"{number:.3g}{unit}" + (f" ({detail})" if detail else "")
    return Row(section, what, shown, number, f"≤ {limit:g}{unit}", number <= limit, against)


def plain(
    section: str, what: str, number: float, unit: str, detail: str = "", against: Against = Against.JUDGED
) -> Row:
    """A row without a target."""
    shown = f"{number:.3g} {unit}" + (f" ({detail})" if detail else "")
    return Row(section, what, shown, number, against=against)


def missing(section: str, what: str, why: str) -> Row:
    """A row that could not be measured."""
    return Row(section, what, f"not measured: {why}")


def exactly(section: str, what: str, differences: Sequence[str], good: str) -> Row:
    """A row that is met when there are no differences."""
    return Row(section, what, "; ".join(differences[:3]) or good, float(len(differences)), "equal", not differences)


def machine() -> str:
    """Where and on what was measured, without the machine's name."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("opentelemetry-sdk", "numpy"))
    return (
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()}, Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def table(rows: Iterable[Row]) -> str:
    """The rows for a terminal."""
    lines: list[str] = []
    section = None
    for row in rows:
        if row.section != section:
            section = row.section
            lines += ["", section]
        mark = {None: "  ", True: "ok", False: "NO"}[row.met]
        lines.append(f"  {mark} {row.what:<62} {row.value}" + (f"   [{row.target}]" if row.target else ""))
    return "\n".join(lines)


def markdown(rows: Sequence[Row], quick: bool) -> str:
    """The rows for docs/overhead.md."""
    lines = [f"Measured on {machine()}{'; a short run (--quick)' if quick else ''}.", ""]
    for section in dict.fromkeys(row.section for row in rows):
        lines += [f"### {section}", "", "| what | measured | target |", "|---|---|---|"]
        for row in rows:
            if row.section == section:
                missed = " **missed**" if row.met is False else ""
                lines.append(f"| {row.what} | {row.value}{missed} | {row.target} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def write(path: Path, rows: Sequence[Row], quick: bool, charts: str = "") -> None:
    """Put the rows between the markers of `path`, and `charts` below them."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{markdown(rows, quick)}\n\n{charts}{END}{after}", encoding="utf-8")


def as_json(rows: Iterable[Row]) -> dict[str, Any]:
    """The rows for programs."""
    return {"machine": machine(), "rows": [asdict(row) for row in rows]}

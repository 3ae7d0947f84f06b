# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a sheet is put together from, and what every part of it is written from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from otel_tts.reporting.figures import Figures
from otel_tts.reporting.report import Report
from otel_tts.reporting.wording import Language, Wording


@dataclass(frozen=True)
class Tile:
    """One figure, large."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Table:
    """Rows of texts; all but the first column are figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """Sentences under a title, with a chart (SVG) or a table."""

    title: str
    sentences: tuple[str, ...]
    chart: str | None = None
    table: Table | None = None


class Page:
    """One report in one language: `now` are its month's figures, `before` those that it is compared with, of `than`."""

    def __init__(self, report: Report, language: Language) -> None:
        self.report, self.say = report, Wording(language)
        self.now: Figures = report.figures
        self.before: Figures = report.before
        month = self.say.month(report.month.before.first)
        self.than = month if report.is_over else self.say(f"the same days of {month}", f"{month}同期")

    @property
    def days(self) -> tuple[date, ...]:
        """The days of the month that have begun."""
        return self.report.month.days[: len(self.now.by_day)]

    def money(self, amount: float | None) -> str:
        """Money in the report's currency."""
        cost = self.report.cost or self.report.cost_before
        return self.say.unknown if amount is None or cost is None else self.say.money(amount, cost.currency)

    def hours(self, seconds: float | None) -> str:
        """Seconds as hours."""
        return self.say.unknown if seconds is None else self.say.amount(seconds / 3600)

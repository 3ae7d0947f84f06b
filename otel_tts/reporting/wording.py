# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""English or Chinese: which of two texts, and how numbers, money and days are written. For people who pay the bill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final, Literal

Language = Literal["en", "zh"]
Words = tuple[str, str]
"""English, Chinese."""

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_SIGNS: Final = {"CNY": "¥", "RMB": "¥", "USD": "$", "EUR": "€", "GBP": "£"}
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_UNKNOWN: Final = ("not known", "未知")
_SAME: Final = 0.005
"""A change by less than this is none."""


@dataclass(frozen=True)
class Wording:
    """How one language says things."""

    language: Language

    def __call__(self, english: str, chinese: str) -> str:
        return english if self.language == "en" else chinese

    def pick(self, words: Words) -> str:
        """The text of this language."""
        return self(*words)

    @property
    def unknown(self) -> str:
        """What stands for a figure that is not known."""
        return self.pick(_UNKNOWN)

    def join(self, texts: Sequence[str]) -> str:
        """Several things as one list."""
        if self.language == "zh":
            return "、".join(texts)
        return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))

    def count(self, number: float) -> str:
        """A number of things."""
        return f"{round(number):,}"

    def many(self, number: float, one: str, several: str, chinese: str) -> str:
        """A number of things with what they are."""
        return self(f"{self.count(number)} {one if round(number) == 1 else several}", f"{self.count(number)} {chinese}")

    def share(self, share: float | None) -> str:
        """A share from 0 to 1 as a percentage; as many places as it takes to tell it from none and from all."""
        if share is None:
            return self.unknown
        edge = min(share, 1 - share)
        places = 0 if edge in (0, 1) else 2 if edge < 0.001 else 1
        return f"{100 * share:.{places}f}%"

    def amount(self, number: float, places: int = 1) -> str:
        """A measured quantity."""
        return f"{number:,.{places}f}"

    def money(self, amount: float, currency: str) -> str:
        """Money: two places, and small amounts with two places that say something."""
        places = 2
        while amount and abs(amount) < 10 ** (1 - places) and places < 6:
            places += 1
        sign = _SIGNS.get(currency)
        written = f"{amount:,.{places}f}"
        return f"{sign}{written}" if sign else f"{written} {currency}"

    def month(self, first: date) -> str:
        """A month with its year."""
        return self(f"{_MONTHS[first.month - 1]} {first.year}", f"{first.year} 年 {first.month} 月")

    def day(self, day: date) -> str:
        """A day of a year that is known."""
        return self(f"{day.day} {_MONTHS[day.month - 1]}", f"{day.month} 月 {day.day} 日")

    def days(self, days: Sequence[date]) -> str:
        """Several days, those in a row as one stretch."""
        rows: list[list[date]] = []
        for one in days:
            if rows and (one - rows[-1][-1]).days == 1:
                rows[-1].append(one)
            else:
                rows.append([one])
        said = [
            self.day(row[0]) if len(row) == 1 else self(" to ", "至").join((self.day(row[0]), self.day(row[-1])))
            for row in rows
        ]
        return self.join(said)

    def moment(self, at: int, zone: tzinfo) -> str:
        """A moment, given in Unix nanoseconds."""
        when = datetime.fromtimestamp(at / 1e9, zone)
        return f"{self.day(when.date())} {when.year} {when:%H:%M}" if self.language == "en" else (
            f"{when.year} 年 {self.day(when.date())} {when:%H:%M}"
        )  # fmt: skip

    def change(self, now: float | None, before: float | None, than: str) -> str:
        """By how much something grew or shrank, as a share of what it was; `than` names the time before."""
        if now is None or not before:
            return ""
        change = now / before - 1
        if abs(change) < _SAME:
            return self(f"as in {than}", f"与{than}持平")
        sign = "+" if change > 0 else "−"
        return self(f"{sign}{abs(change):.0%} on {than}", f"较{than} {sign}{abs(change):.0%}")

    def points(self, now: float | None, before: float | None, than: str) -> str:
        """What a share was before."""
        if now is None or before is None:
            return ""
        return self(f"{than}: {self.share(before)}", f"{than}：{self.share(before)}")

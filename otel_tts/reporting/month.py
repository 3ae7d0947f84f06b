# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A month of a calendar, in a time zone: its days, and where they begin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from otel_tts.trouble import WrongUse


@dataclass(frozen=True)
class Month:
    """`first` is its first day; days begin at midnight in `zone`."""

    first: date
    zone: tzinfo

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def next(self) -> Month:
        """The month after it."""
        return Month((self.first + timedelta(days=31)).replace(day=1), self.zone)

    @property
    def before(self) -> Month:
        """The month before it."""
        return Month((self.first - timedelta(days=1)).replace(day=1), self.zone)

    @property
    def days(self) -> tuple[date, ...]:
        """Its days."""
        return tuple(self.first + timedelta(days=n) for n in range((self.next.first - self.first).days))

    @property
    def begin(self) -> int:
        """Its first moment in Unix nanoseconds."""
        return midnight(self.first, self.zone)

    @property
    def end(self) -> int:
        """The first moment after it in Unix nanoseconds."""
        return self.next.begin

    def times(self, now: int) -> tuple[int, ...]:
        """Where its days begin and the last one ends, in Unix nanoseconds; up to `now` where it is not over."""
        begins = [midnight(day, self.zone) for day in self.days]
        return (*(begin for begin in begins if begin < now), min(self.end, now))


def midnight(day: date, zone: tzinfo) -> int:
    """The first moment of a day in Unix nanoseconds."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 10**9


def read(text: str, zone: tzinfo, now: int) -> Month:
    """The month that is meant: `2026-10`. Raises WrongUse for another form, and for a month that has not begun."""
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text, re.ASCII) is None or not "1971" <= text[:4] <= "2900":
        raise WrongUse(f"{text!r} is no month: write the year and the month as in 2026-10.")
    month = Month(date(int(text[:4]), int(text[5:]), 1), zone)
    if month.begin >= now:
        raise WrongUse(f"{text} has not begun yet: there is nothing to report of it.")
    return month

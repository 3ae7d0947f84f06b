# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Months: which is meant, where its days begin, and what is none."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from otel_tts.reporting import month
from otel_tts.reporting.zones import zone_of
from otel_tts.trouble import WrongUse

UTC = timezone.utc
S = 10**9
NOW = round(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()) * S


@pytest.mark.parametrize(
    "text", ["2026", "2026-13", "2026-00", "26-10", "October", "2026-10-01", "2026/10", "２０２６-10", "0001-01", ""]
)
def test_what_is_no_month_is_wrong_use(text: str) -> None:
    with pytest.raises(WrongUse, match="is no month: write the year and the month as in 2026-10"):
        month.read(text, UTC, NOW)


def test_a_month_that_has_not_begun_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match="2026-12 has not begun"):
        month.read("2026-12", UTC, NOW)
    assert str(month.read("2026-12", ZoneInfo("Pacific/Kiritimati"), NOW + 12 * 3600 * S - 1)) == "2026-12"


def test_the_month_before_january_is_december() -> None:
    january = month.read("2026-01", UTC, NOW)
    assert (str(january.before), str(january.next), len(january.days)) == ("2025-12", "2026-02", 31)
    assert len(month.read("2024-02", UTC, NOW).days) == 29


def test_days_are_as_long_as_they_are() -> None:
    october = month.read("2026-10", ZoneInfo("Europe/Berlin"), NOW)
    hours = {
        (end - begin) // (3600 * S) for begin, end in zip(october.times(NOW), october.times(NOW)[1:], strict=False)
    }
    assert hours == {24, 25} and len(october.times(NOW)) == 32
    assert october.end - october.begin == (31 * 24 + 1) * 3600 * S


def test_a_month_that_is_not_over_ends_now() -> None:
    november = month.read("2026-11", UTC, NOW)
    times = november.times(NOW)
    assert (len(times), times[0], times[-1]) == (31, november.begin, NOW)
    assert times[-1] - times[-2] == 12 * 3600 * S


def test_zones_are_named_or_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(zone_of("Asia/Shanghai")) == "Asia/Shanghai"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert str(zone_of(None)) == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "EST5EDT4,M3.2.0,M11.1.0")
    assert zone_of(None) is not None
    for name in ("Shanghai", "../../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(WrongUse, match="is no time zone that is known here"):
            zone_of(name)

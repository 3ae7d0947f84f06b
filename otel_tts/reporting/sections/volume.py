# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How much was asked for, day by day."""

from __future__ import annotations

from typing import Final

from otel_tts.reporting import charts
from otel_tts.reporting.parts import Page, Section

_WEEK: Final = 7
_STEADY: Final = 0.05
"""A change by less than this is chance as likely as not."""


def write(page: Page) -> Section:
    """The section."""
    say, now = page.say, page.now
    sentences = (_asked(page), _compared(page), _trend(page), _busiest(page), _key(page))
    nothing, name = say("nothing is known", "没有数据"), say("Requests a day", "每日请求数")
    chart = charts.bars(now.by_day_or_zero, now.failed_by_day, say.count, nothing, name)
    return Section(say("How much it was used", "使用量"), tuple(filter(None, sentences)), chart)


def _asked(page: Page) -> str:
    say, now = page.say, page.now
    asked = say.many(now.requests, "time", "times", "次请求")
    made = say.many(now.delivered, "recording", "recordings", "段音频")
    if now.audio_seconds is not None:
        hours = page.hours(now.audio_seconds)
        made += say(f" of {hours} hours in all", f"，总时长 {hours} 小时")
    return say(f"The service was asked for speech {asked} and delivered {made}.", f"服务共收到 {asked}，交付 {made}。")


def _compared(page: Page) -> str:
    say, than = page.say, page.than
    if not page.before.is_known:
        return say(f"Of {than} nothing is known.", f"没有{than}的数据。")
    before = say.count(page.before.requests)
    return say(f"In {than} it was {before}.", f"{than}为 {before} 次。")


def _trend(page: Page) -> str | None:
    """How the last week compares with the first, where all of both is known and they do not overlap."""
    say, days = page.say, page.now.by_day_or_zero
    first, last = days[:_WEEK], days[-_WEEK:]
    if len(days) < 2 * _WEEK or None in (*first, *last) or not any(first):
        return None
    change = sum(filter(None, last)) / sum(filter(None, first)) - 1
    if abs(change) < _STEADY:
        return say("Over the month it stayed about the same.", "月内使用量基本平稳。")
    much = f"{abs(change):.0%}"
    return say(
        f"The last seven days had {much} {'more' if change > 0 else 'fewer'} requests than the first seven.",
        f"最后七天比最初七天{'多' if change > 0 else '少'} {much}。",
    )


def _busiest(page: Page) -> str | None:
    days = [(count, day) for count, day in zip(page.now.by_day, page.days, strict=True) if count]
    if len(days) < 2:
        return None
    most, day = max(days, key=lambda one: one[0])
    count, day = page.say.count(most), page.say.day(day)
    return page.say(f"The busiest day was {day} with {count} requests.", f"最忙的一天是 {day}，共 {count} 次。")


def _key(page: Page) -> str:
    return page.say(
        "A bar is a day; its red part failed, a grey day is one of which nothing is known.",
        "每根柱代表一天；红色为失败部分，灰色表示当天没有数据。",
    )

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How many recordings were done soon, day by day."""

from __future__ import annotations

from otel_tts.reporting import charts
from otel_tts.reporting.parts import Page, Section


def write(page: Page) -> Section:
    """The section."""
    say, now = page.say, page.now
    title = say("How fast it was", "速度")
    if now.prompt_share is None:
        return Section(title, (say("Nothing was measured.", "没有测量数据。"),))
    share, slower = say.share(now.prompt_share), say.count(now.measured - now.prompt)
    sentence = say(
        f"{share} of the recordings were done within two seconds of being asked for, {slower} took longer. The line is "
        "this share on each day.",
        f"{share} 的音频在 2 秒内完成，{slower} 段耗时更长。折线为每日占比。",
    )
    name = say("Share done within two seconds, by day", "每日 2 秒内完成占比")
    return Section(title, (sentence,), charts.line(now.prompt_by_day, lambda one: f"{one:.0%}", name))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the work cost, and what it was done on."""

from __future__ import annotations

from collections.abc import Iterator

from otel_tts.reporting import costs
from otel_tts.reporting.parts import Page, Section, Table


def write(page: Page) -> Section:
    """The section."""
    say = page.say
    title = say("What it cost", "成本")
    if page.now.gpu_seconds is None and page.report.cost is None:
        unknown = say("What the work cost is not known: no graphics card was measured.", "成本未知：没有显卡用量数据。")
        return Section(title, (unknown,))
    return Section(title, tuple(_sentences(page)), None, _table(page))


def _sentences(page: Page) -> Iterator[str]:
    say, cost = page.say, page.report.cost
    if page.now.gpu_seconds is not None:
        hours = page.hours(page.now.gpu_seconds)
        yield say(f"The graphics cards worked {hours} hours for speech.", f"显卡为语音合成工作了 {hours} 小时。")
    if cost is None:
        yield say("What an hour costs is not known.", "每小时价格未知。")
    else:
        total = say.money(cost.amount, cost.currency)
        yield say(f"This work cost {total}.", f"这些工作的成本为 {total}。")
    yield from _of_cards(page)


def _of_cards(page: Page) -> Iterator[str]:
    """How long the cards were on, and what that costs where it is paid for whether they work or not."""
    say, cost, hours, share = page.say, page.report.cost, page.now.card_hours, costs.busy_share(page.report)
    if hours is None or share is None:
        return
    on, cards = say.amount(hours, 0), say.many(page.now.cards, "card was", "cards were", "块显卡")
    yield say(
        f"{cards} on for {on} hours in all, and worked {say.share(share)} of that time.",
        f"{cards}共开机 {on} 小时，其中 {say.share(share)} 的时间在工作。",
    )
    if cost is not None and cost.price is not None and page.now.delivered:
        bill = hours * cost.price.amount
        total, each = page.money(bill), page.money(bill / page.now.delivered)
        yield say(
            f"Where every hour that they are on is paid for, that is {total}, or {each} a recording.",
            f"若按开机时间付费，则为 {total}，每次合成 {each}。",
        )


def _table(page: Page) -> Table:
    say, report = page.say, page.report
    month = say.month(report.month.first) if report.is_over else say("So far", "本月至今")
    work = (page.now.gpu_seconds, page.before.gpu_seconds)
    rows = (
        (say("A recording", "每次合成"), *map(page.money, costs.of_a_recording(report))),
        (say("A minute of speech", "每分钟音频"), *map(page.money, costs.of_a_minute(report))),
        (say("Hours of work", "工作小时数"), *map(page.hours, work)),
    )
    return Table(("", month, page.than), rows)

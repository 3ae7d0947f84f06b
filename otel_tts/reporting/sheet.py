# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A report as it is read: titles, sentences, figures and charts in one language, for a page and for paper alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from otel_tts.names import OTHER
from otel_tts.reporting import charts, reasons
from otel_tts.reporting.advice import advise, busy_share, cost_of_each
from otel_tts.reporting.appendix import Made, figures_made
from otel_tts.reporting.lacking import lacking
from otel_tts.reporting.report import Report
from otel_tts.reporting.wording import Language, Wording

_VOICES: Final = 3
_REASONS: Final = 6
_WEEK: Final = 7
_STEADY: Final = 0.05
"""A change by less than this is chance as likely as not."""
_HASH: Final = re.compile(r"v-[0-9a-f]{16}")


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


@dataclass(frozen=True)
class Sheet:
    """All that stands on a report, in order."""

    language: Language
    title: str
    subtitle: str
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    advice_title: str
    advice: tuple[str, ...]
    lacking_title: str
    lacking: tuple[str, ...]
    appendix_title: str
    appendix_intro: tuple[str, ...]
    appendix: tuple[Made, ...]


def of(report: Report, language: Language) -> Sheet:
    """What a report says in a language."""
    say = Wording(language)
    writer = _Writer(report, say)
    lacks = lacking(report, say)
    return Sheet(
        language=language,
        title=say(
            f"Speech service: {say.month(report.month.first)}", f"语音合成服务月报：{say.month(report.month.first)}"
        ),
        subtitle=writer.subtitle(),
        notes=writer.notes(),
        tiles=tuple(writer.tiles()),
        sections=(writer.volume(), writer.voices(), writer.speed(), writer.failures(), writer.cost()),
        advice_title=say("For next month", "下月建议"),
        advice=tuple(advise(report, say)),
        lacking_title=say("What this report does not know", "本报告未包含的内容"),
        lacking=lacks or (say("Nothing is missing.", "没有缺失。"),),
        appendix_title=say("Appendix, for the technical team", "附录：供技术人员核对"),
        appendix_intro=writer.appendix_intro(),
        appendix=figures_made(report, say),
    )


class _Writer:
    """Writes the parts of one report."""

    def __init__(self, report: Report, say: Wording) -> None:
        self._report, self._say = report, say
        self._now, self._before = report.figures, report.before
        month = say.month(report.month.before.first)
        self._than = month if report.is_over else say(f"the same days of {month}", f"{month}同期")

    def subtitle(self) -> str:
        """What is counted, and of whom."""
        say, report = self._say, self._report
        days = (report.month.first, self._days()[-1])
        whose = say("all services", "全部服务") if report.service is None else report.service
        return say(
            f"{say.day(days[0])} to {say.day(days[1])}, {whose}", f"{say.day(days[0])}至{say.day(days[1])}，{whose}"
        )

    def notes(self) -> tuple[str, ...]:
        """What has to be known before anything else."""
        say, report = self._say, self._report
        found: list[str] = []
        if not report.is_over:
            until = say.moment(report.until, report.month.zone)
            found.append(say(f"This month is not over: figures up to {until}.", f"本月尚未结束：数据截至 {until}。"))
        if self._now.missing_days:
            days = say.many(len(self._now.missing_days), "day", "days", "天")
            found.append(
                say(f"Of {days} nothing is known: figures may be too low.", f"有 {days}没有数据：数字可能偏低。")
            )
        return tuple(found)

    def tiles(self) -> Iterator[Tile]:
        """The month in six figures."""
        say, now, before, than = self._say, self._now, self._before, self._than
        yield Tile(
            say("Requests", "请求数"), say.count(now.requests), say.change(now.requests, before.requests or None, than)
        )
        yield Tile(
            say("Done within 2 seconds", "2 秒内完成"),
            say.share(now.prompt_share),
            say.points(now.prompt_share, before.prompt_share, than),
        )
        yield Tile(
            say("Failed", "失败"),
            say.share(now.failed_share),
            say.points(now.failed_share, before.failed_share, than),
        )
        yield Tile(
            say("Without sound", "无声音频"),
            say.share(now.silent_share),
            say.points(now.silent_share, before.silent_share, than),
        )
        each, each_before = cost_of_each(self._report)
        yield Tile(say("Cost of a recording", "每次合成成本"), self._money(each), say.change(each, each_before, than))
        minute, minute_before = self._minutes()
        yield Tile(
            say("Cost of a minute of speech", "每分钟音频成本"),
            self._money(minute),
            say.change(minute, minute_before, than),
        )

    def volume(self) -> Section:
        """How much was asked for, day by day."""
        say, now, before = self._say, self._now, self._before
        sentences = [
            say(
                f"The service was asked for speech {say.count(now.requests)} times and delivered "
                f"{say.count(now.delivered)} recordings{self._length(now.audio_seconds)}.",
                f"服务共收到 {say.count(now.requests)} 次请求，交付 {say.count(now.delivered)} 段音频"
                f"{self._length(now.audio_seconds)}。",
            )
        ]
        sentences.append(self._compared(before.requests))
        sentences += filter(None, (self._trend(), self._busiest()))
        sentences.append(
            say(
                "A bar is a day; its red part failed, a grey day is one of which nothing is known.",
                "每根柱代表一天；红色为失败部分，灰色表示当天没有数据。",
            )
        )
        name = say("Requests a day", "每日请求数")
        chart = charts.bars(now.by_day_or_zero, now.failed_by_day, say.count, say("nothing is known", "没有数据"), name)
        return Section(say("How much it was used", "使用量"), tuple(sentences), chart)

    def voices(self) -> Section:
        """The voices that were asked for most."""
        say, now = self._say, self._now
        ranked = [(name, count) for name, count in now.voices.items() if name not in ("", OTHER)]
        rows = tuple(
            (self._voice(name), say.count(count), say.share(count / now.requests)) for name, count in ranked[:_VOICES]
        )
        unnamed = sum(count for name, count in now.voices.items() if name in ("", OTHER))
        sentences: list[str] = []
        if unnamed and now.requests:
            sentences.append(
                say(
                    f"{say.share(unnamed / now.requests)} of the requests were for voices that have no name here.",
                    f"{say.share(unnamed / now.requests)} 的请求使用了未命名的声音。",
                )
            )
        if not rows:
            sentences.insert(0, say("No voice has a name here.", "没有已命名的声音。"))
        head = (say("Voice", "声音"), say("Requests", "请求数"), say("Share", "占比"))
        return Section(say("The three voices most asked for", "最常用的三个声音"), tuple(sentences), None, (
            Table(head, rows) if rows else None
        ))  # fmt: skip

    def _voice(self, name: str) -> str:
        """A voice's name; a hash is none that anybody knows, but tells it from others."""
        if _HASH.fullmatch(name) is None:
            return name
        return self._say(f"a voice without a name ({name[2:6]})", f"未命名声音（{name[2:6]}）")

    def speed(self) -> Section:
        """How many were done soon, day by day."""
        say, now = self._say, self._now
        title = say("How fast it was", "速度")
        if now.prompt_share is None:
            return Section(title, (say("Nothing was measured.", "没有测量数据。"),))
        sentence = say(
            f"{say.share(now.prompt_share)} of the recordings were done within two seconds of being asked for, "
            f"{say.count(now.measured - now.prompt)} took longer. The line is this share on each day.",
            f"{say.share(now.prompt_share)} 的音频在 2 秒内完成，{say.count(now.measured - now.prompt)} 段耗时更长。"
            "折线为每日占比。",
        )
        name = say("Share done within two seconds, by day", "每日 2 秒内完成占比")
        return Section(title, (sentence,), charts.line(now.prompt_by_day, lambda share: f"{share:.0%}", name))

    def failures(self) -> Section:
        """What went wrong, and how often."""
        say, report, now = self._say, self._report, self._now
        ranked = reasons.all_in_words(report.reasons, now.outcomes)
        sentences = [
            say(
                f"{say.count(now.failed)} requests got no speech that can be heard, {say.share(now.failed_share)} of "
                "those whose callers waited for the answer.",
                f"有 {say.count(now.failed)} 个请求没有得到可用语音，"
                f"占等待结果的请求的 {say.share(now.failed_share)}。",
            ),
            say(
                f"{say.count(now.silent)} recordings were silent or empty.",
                f"其中 {say.count(now.silent)} 段音频无声或为空。",
            ),
        ]
        rows = tuple(
            (words[0] if say.language == "en" else words[1], say.count(count), say.share(min(1.0, count / now.failed)))
            for words, count in ranked[:_REASONS]
        )
        head = (say("Reason", "原因"), say("Requests", "请求数"), say("Share of failures", "占失败比例"))
        return Section(
            say("What went wrong", "失败与原因"), tuple(sentences), None, Table(head, rows) if rows else None
        )

    def cost(self) -> Section:
        """What the work cost, and what it was done on."""
        say, report, now = self._say, self._report, self._now
        title = say("What it cost", "成本")
        if now.gpu_seconds is None and report.cost is None:
            return Section(
                title,
                (
                    say(
                        "What the work cost is not known: no graphics card was measured.",
                        "成本未知：没有显卡用量数据。",
                    ),
                ),
            )
        sentences: list[str] = []
        if now.gpu_seconds is not None:
            hours = say.amount(now.gpu_seconds / 3600)
            sentences.append(
                say(f"The graphics cards worked {hours} hours for speech.", f"显卡为语音合成工作了 {hours} 小时。")
            )
        if report.cost is None:
            sentences.append(say("What an hour costs is not known.", "每小时价格未知。"))
        else:
            total = say.money(report.cost.amount, report.cost.currency)
            sentences.append(say(f"This work cost {total}.", f"这些工作的成本为 {total}。"))
        sentences += filter(None, (self._whole_bill(),))
        each, each_before = cost_of_each(report)
        minute, minute_before = self._minutes()
        month = say.month(report.month.first)
        head = ("", month if report.is_over else say("So far", "本月至今"), self._than)
        rows = (
            (say("A recording", "每次合成"), self._money(each), self._money(each_before)),
            (say("A minute of speech", "每分钟音频"), self._money(minute), self._money(minute_before)),
            (say("Hours of work", "工作小时数"), self._hours(now.gpu_seconds), self._hours(self._before.gpu_seconds)),
        )
        return Section(title, tuple(sentences), None, Table(head, rows))

    def appendix_intro(self) -> tuple[str, ...]:
        """Where the figures are from."""
        say, report = self._say, self._report
        zone = str(report.month.zone)
        return (
            say(
                f"Read from {report.source}; days begin at midnight in {zone}.",
                f"数据来自 {report.source}；日期按 {zone} 划分。",
            ),
            say(
                "Each figure is a sum over all processes of what their counters grew by from midnight to midnight. "
                "A counter that begins anew is added up, not extrapolated "
                f"({report.restarts} series did). What a watcher asks only to try the service (tts.canary) is not "
                "counted.",
                "每个数字都是所有进程的计数器在两个零点之间增量之和；计数器重新开始时累加，不做外推"
                f"（本期发生 {report.restarts} 次）。巡检请求（tts.canary）不计入。",
            ),
        )  # fmt: skip

    def _days(self) -> tuple[date, ...]:
        return self._report.month.days[: len(self._now.by_day)]

    def _length(self, seconds: float | None) -> str:
        if seconds is None:
            return ""
        hours = self._say.amount(seconds / 3600)
        return self._say(f" of {hours} hours in all", f"，总时长 {hours} 小时")

    def _compared(self, before: float) -> str:
        say = self._say
        if not self._before.is_known:
            return say(f"Of {self._than} nothing is known.", f"没有{self._than}的数据。")
        return say(f"In {self._than} it was {say.count(before)}.", f"{self._than}为 {say.count(before)} 次。")

    def _trend(self) -> str | None:
        """How the last week compares with the first, where all of both is known and they do not overlap."""
        days = self._now.by_day_or_zero
        first, last = days[:_WEEK], days[-_WEEK:]
        if len(days) < 2 * _WEEK or None in (*first, *last) or not any(first):
            return None
        change = sum(filter(None, last)) / sum(filter(None, first)) - 1
        say = self._say
        if abs(change) < _STEADY:
            return say("Over the month it stayed about the same.", "月内使用量基本平稳。")
        if change > 0:
            return say(
                f"The last seven days had {change:.0%} more requests than the first seven.",
                f"最后七天比最初七天多 {change:.0%}。",
            )
        return say(
            f"The last seven days had {-change:.0%} fewer requests than the first seven.",
            f"最后七天比最初七天少 {-change:.0%}。",
        )

    def _busiest(self) -> str | None:
        days = [(count, day) for count, day in zip(self._now.by_day, self._days(), strict=True) if count]
        if len(days) < 2:
            return None
        count, day = max(days, key=lambda one: one[0])
        say = self._say
        return say(
            f"The busiest day was {say.day(day)} with {say.count(count)} requests.",
            f"最忙的一天是 {say.day(day)}，共 {say.count(count)} 次。",
        )

    def _whole_bill(self) -> str | None:
        """What it costs to have the cards, where they are paid for whether they work or not."""
        say, report, hours = self._say, self._report, self._now.card_hours
        share = busy_share(report)
        if hours is None or share is None:
            return None
        on, cards = say.amount(hours, 0), say.many(self._now.cards, "card was", "cards were", "块显卡")
        said = say(
            f"{cards} on for {on} hours in all, and worked {say.share(share)} of that time.",
            f"{cards}共开机 {on} 小时，其中 {say.share(share)} 的时间在工作。",
        )
        if report.cost is None or report.cost.price is None or not self._now.delivered:
            return said
        bill = hours * report.cost.price.amount
        total, each = (self._money(one) for one in (bill, bill / self._now.delivered))
        return said + say(
            f" Where every hour that they are on is paid for, that is {total}, or {each} a recording.",
            f"若按开机时间付费，则为 {total}，每次合成 {each}。",
        )

    def _minutes(self) -> tuple[float | None, float | None]:
        pairs = ((self._report.cost, self._now), (self._report.cost_before, self._before))
        now, before = (
            None if cost is None or not of.audio_seconds else cost.amount / (of.audio_seconds / 60)
            for cost, of in pairs
        )
        return now, before

    def _money(self, amount: float | None) -> str:
        cost = self._report.cost or self._report.cost_before
        return self._say.unknown if amount is None or cost is None else self._say.money(amount, cost.currency)

    def _hours(self, seconds: float | None) -> str:
        return self._say.unknown if seconds is None else self._say.amount(seconds / 3600)

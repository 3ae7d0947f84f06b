# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A report as it is read: titles, sentences, figures and charts in one language, for a page and for paper alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from otel_tts.reporting import tiles
from otel_tts.reporting.advice import advise
from otel_tts.reporting.appendix import Made, figures_made, introduced
from otel_tts.reporting.lacking import lacking
from otel_tts.reporting.parts import Page, Section, Tile
from otel_tts.reporting.report import Report
from otel_tts.reporting.sections import cost, failures, speed, voices, volume
from otel_tts.reporting.wording import Language


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
    page = Page(report, language)
    say = page.say
    month = say.month(report.month.first)
    return Sheet(
        language=language,
        title=say(f"Speech service: {month}", f"语音合成服务月报：{month}"),
        subtitle=_subtitle(page),
        notes=tuple(_notes(page)),
        tiles=tuple(tiles.write(page)),
        sections=tuple(section.write(page) for section in (volume, voices, speed, failures, cost)),
        advice_title=say("For next month", "下月建议"),
        advice=tuple(advise(report, say)),
        lacking_title=say("What this report does not know", "本报告未包含的内容"),
        lacking=lacking(report, say) or (say("Nothing is missing.", "没有缺失。"),),
        appendix_title=say("Appendix, for the technical team", "附录：供技术人员核对"),
        appendix_intro=tuple(introduced(report, say)),
        appendix=figures_made(report, say),
    )


def _subtitle(page: Page) -> str:
    """What is counted, and of whom."""
    first, last = (page.say.day(day) for day in (page.days[0], page.days[-1]))
    whose = page.report.service or page.say("all services", "全部服务")
    return page.say(f"{first} to {last}, {whose}", f"{first}至{last}，{whose}")


def _notes(page: Page) -> Iterator[str]:
    """What has to be known before anything else."""
    say, report = page.say, page.report
    if not report.is_over:
        until = say.moment(report.until, report.month.zone)
        yield say(f"This month is not over: figures up to {until}.", f"本月尚未结束：数据截至 {until}。")
    if page.now.missing_days:
        days = say.many(len(page.now.missing_days), "day", "days", "天")
        yield say(f"Of {days} nothing is known: figures may be too low.", f"有 {days}没有数据：数字可能偏低。")

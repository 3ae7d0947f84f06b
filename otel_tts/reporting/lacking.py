# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a report does not know, in words for who reads it; the technical causes stand in the appendix."""

from __future__ import annotations

from collections.abc import Iterator

from otel_tts.reporting.report import Report
from otel_tts.reporting.wording import Wording


def lacking(report: Report, say: Wording) -> tuple[str, ...]:
    """A sentence for each thing that is missing."""
    return tuple(_all(report, say))


def _all(report: Report, say: Wording) -> Iterator[str]:
    now, days = report.figures, report.month.days
    if now.missing_days:
        named = say.days([days[number] for number in now.missing_days])
        yield say(
            f"Nothing is known of {named}. Whatever was asked for then is in no figure.",
            f"{named}没有数据，当时的请求未计入任何数字。",
        )
    if now.missing_hours:
        hours = say.many(now.missing_hours, "hour", "hours", "小时")
        yield say(
            f"Of {hours} of other days nothing was heard: the service was off, or its records were lost.",
            f"其余日期中有 {hours}没有数据：服务可能停机，或记录丢失。",
        )
    if not report.before.is_known:
        month = say.month(report.month.before.first)
        yield say(f"Of {month} nothing is known, so nothing is compared.", f"没有{month}的数据，因此没有对比。")
    elif report.before.missing_days:
        missing = say.many(len(report.before.missing_days), "day", "days", "天")
        yield say(f"The month before lacks {missing}.", f"上月缺少 {missing}的数据。")
    if report.left_out:
        count = say.count(report.left_out)
        yield say(
            f"Requests that were counted before the first record, nobody can say when, are left out: {count}.",
            f"有 {count} 个请求在首条记录之前已计数，时间无法确定，因此未计入。",
        )
    yield from _of_failures(report, say)
    yield from _of_cost(report, say)
    if any(gap.why == "retention" for gap in report.gaps):
        yield say(
            "Records are not kept for so long: what was before the first of them is in no figure.",
            "记录的保存期不够长：更早的数据未计入。",
        )
    if any(gap.why != "retention" for gap in report.gaps):
        yield say(
            "A part of the records could not be read; figures may be too low. The appendix says which.",
            "部分记录无法读取，数字可能偏低，详见附录。",
        )


def _of_failures(report: Report, say: Wording) -> Iterator[str]:
    if unknown := report.reasons.get("", 0.0):
        failures = say.many(unknown, "failure", "failures", "次失败")
        yield say(f"Of {failures} the reason was not recorded.", f"有 {failures}未记录原因。")
        if report.archived is not None and report.archived.missing:
            named = say.days(report.archived.missing)
            yield say(f"The archive has no file of {named}.", f"归档中没有{named}的文件。")


def _of_cost(report: Report, say: Wording) -> Iterator[str]:
    now = report.figures
    if now.gpu_seconds is None:
        yield say(
            "How long graphics cards worked was not measured: there are none, or they are not watched.",
            "没有显卡用量数据：没有显卡，或未监测。",
        )
    elif report.cost is None:
        yield say("What an hour of a graphics card costs was not told.", "未提供显卡每小时价格。")
    if report.cost is not None and report.cost.price is None and len(now.costs) > 1:
        others = [say.money(amount, currency) for currency, amount in now.costs.items()][1:]
        yield say(
            f"Costs were told in more than one currency; {say.join(others)} are in no figure.",
            f"成本使用了多种货币，{say.join(others)} 未计入。",
        )
    if report.figures.requests and not report.figures.measured:
        yield say("How long requests took was not recorded.", "未记录请求耗时。")

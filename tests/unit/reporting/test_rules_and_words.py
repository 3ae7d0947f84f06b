# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the rules advise, and how figures, money and reasons are worded in both languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from dashboards import thresholds
from otel_tts.reporting import figures, reasons
from otel_tts.reporting.advice import advise
from otel_tts.reporting.report import Cost, Report
from otel_tts.reporting.wording import LANGUAGES, Wording

EN, ZH = Wording("en"), Wording("zh")


@pytest.fixture
def calm(told: Report) -> Report:
    """A month in which nothing was amiss, as the one before it."""
    well = replace(
        told.figures, outcomes={"ok": 1000.0, "error": 1.0}, measured=1000.0, prompt=990.0, silent=0.0, cards=1,
        gpu_seconds=300 * 3600.0, card_hours=744.0, heard=(24,) * 31, hours=(24,) * 31, by_day=(32.0,) * 31,
    )  # fmt: skip
    cost = Cost(100.0, "CNY", None)
    return replace(told, figures=well, before=well, cost=cost, cost_before=cost, reasons={"ValueError": 1.0})


def test_where_nothing_is_amiss_nothing_is_advised(calm: Report) -> None:
    assert advise(calm, EN) == ["Nothing needs to be changed."]
    assert advise(calm, ZH) == ["无需调整。"]


def now(**changes: Any) -> Callable[[Report], Report]:
    return lambda report: replace(report, figures=replace(report.figures, **changes))


CASES: tuple[tuple[Callable[[Report], Report], str, str], ...] = (
    (now(heard=(24,) * 30 + (0,)), "of 24 hours nothing is known", "有 24 小时没有数据"),
    (
        lambda report: replace(
            report,
            figures=replace(report.figures, outcomes={"ok": 980.0, "error": 20.0}),
            reasons={"OutOfMemoryError": 15.0, "TimeoutError": 5.0},
        ),
        "2.0% of the requests failed. Begin with the most frequent reason (75.0% of all failures): the graphics card "
        "ran out of memory.",
        "2.0% 的请求失败。请先处理最常见的原因（占全部失败的 75.0%）：显卡内存不足。",
    ),
    (now(silent=2.0), "2 recordings had nothing to hear in them", "有 2 段音频没有声音"),
    (now(prompt=880.0), "12.0% of the recordings took longer than two seconds", "12.0% 的音频耗时超过 2 秒"),
    (now(outcomes={"ok": 1000.0, "rejected": 11.0}), "11 requests were turned away", "有 11 个请求被拒绝"),
    (
        now(outcomes={"ok": 1300.0, "error": 1.0}),
        "Demand grew by 30%. If it goes on so, plan for about 1,700 requests next month.",
        "请求量增长 30%。若保持此趋势，下月请按约 1,700 次请求准备。",
    ),
    (now(gpu_seconds=600 * 3600.0), "worked 80.6% of the time: there is little left", "显卡有 80.6% 的时间在工作"),
    (now(gpu_seconds=60 * 3600.0), "worked 8.1% of the time that they were on", "显卡仅有 8.1% 的开机时间在工作"),
    (
        lambda report: replace(report, cost=Cost(130.0, "CNY", None)),
        "A recording costs 30% more than in the month before",
        "每次合成的成本比上月高 30%",
    ),
)


@pytest.mark.parametrize(("change", "english", "chinese"), CASES, ids=[case[1][:24] for case in CASES])
def test_each_rule_says_its_figure(
    calm: Report, change: Callable[[Report], Report], english: str, chinese: str
) -> None:
    assert any(english in one for one in advise(change(calm), EN)), advise(change(calm), EN)
    assert any(chinese in one for one in advise(change(calm), ZH)), advise(change(calm), ZH)


def test_a_month_that_is_not_over_foretells_nothing(calm: Report) -> None:
    grown = now(outcomes={"ok": 1300.0, "error": 1.0})(replace(calm, until=calm.until - 1))
    assert advise(grown, EN) == ["Nothing needs to be changed."]


def test_prompt_is_what_the_boards_call_prompt() -> None:
    assert thresholds.PROMPT == figures.PROMPT_S


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("torch.OutOfMemoryError", "the graphics card ran out of memory"),
        ("asyncio.TimeoutError", "it took too long and was stopped"),
        ("ConnectionResetError", "a connection broke"),
        ("FileNotFoundError", "a file that was needed could not be opened"),
        ("ZeroDivisionError", "a fault in the program"),
        ("other", "other faults"),
        ("", "the reason was not recorded"),
    ],
)
def test_reasons_are_in_words(kind: str, said: str) -> None:
    assert reasons.in_words(kind)[0] == said


def test_reasons_of_one_kind_are_one() -> None:
    ranked = reasons.all_in_words({"KeyError": 3.0, "ValueError": 2.0, "": 4.0}, {"ok": 9.0, "rejected": 1.0})
    assert [(words[0], count) for words, count in ranked] == [
        ("the service could not make sense of what it was given", 5.0),
        ("the reason was not recorded", 4.0),
        ("the request was turned away: too busy, or not acceptable", 1.0),
    ]


def test_figures_are_written_for_people() -> None:
    assert [EN.share(share) for share in (None, 0.0, 1.0, 0.5, 0.0004, 0.9996)] == [
        "not known", "0%", "100%", "50.0%", "0.04%", "99.96%",
    ]  # fmt: skip
    assert [ZH.money(amount, "CNY") for amount in (0.0, 0.0031, 12.5, 12345.678)] == [
        "¥0.00", "¥0.0031", "¥12.50", "¥12,345.68",
    ]  # fmt: skip
    assert EN.money(3.0, "CHF") == "3.00 CHF"
    assert EN.change(110, 100, "May") == "+10% on May" and EN.change(100.1, 100, "May") == "as in May"
    assert (ZH.change(90, 100, "5 月"), EN.change(1, None, "May"), EN.change(1, 0, "May")) == ("较5 月 −10%", "", "")
    days = [date(2026, 10, day) for day in (1, 2, 3, 7, 9)]
    assert EN.days(days) == "1 October to 3 October, 7 October and 9 October"
    assert ZH.days(days) == "10 月 1 日至10 月 3 日、10 月 7 日、10 月 9 日"
    assert [Wording(language).unknown for language in LANGUAGES] == ["not known", "未知"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What to do next month: written rules, one a function. None of them guesses; each says the figure that it goes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_tts.names import Outcome
from otel_tts.reporting import costs, reasons
from otel_tts.reporting.report import Report
from otel_tts.reporting.wording import Wording

SLOW_SHARE: Final = 0.10
"""So many that take longer than two seconds are worth a look."""

FAILED_SHARE: Final = 0.01
SILENT_SHARE: Final = 0.001
TURNED_AWAY_SHARE: Final = 0.01
GROWTH: Final = 0.20
"""A change of volume by so much is one to plan for."""

DEARER: Final = 0.20
BUSY: Final = 0.70
"""Cards that work for so much of the time have little left for more requests."""

IDLE: Final = 0.15
MISSING_HOURS: Final = 24
"""Hours of which nothing is known that are too many for a report to rest on."""

Rule = Callable[[Report, Wording], str | None]


def advise(report: Report, say: Wording) -> list[str]:
    """What the rules say of a month, in their order; that nothing has to be done where none applies."""
    found = [advice for rule in _RULES if (advice := rule(report, say)) is not None]
    return found or [say("Nothing needs to be changed.", "无需调整。")]


def _records(report: Report, say: Wording) -> str | None:
    missing = sum(report.figures.hours) - sum(report.figures.heard)
    if missing < MISSING_HOURS:
        return None
    return say(
        f"Have the recording of figures looked into: of {say.count(missing)} hours nothing is known, so that this "
        "report may say too little.",
        f"请检查数据记录：有 {say.count(missing)} 小时没有数据，本报告的数字可能偏低。",
    )


def _failures(report: Report, say: Wording) -> str | None:
    share = report.figures.failed_share
    if share is None or share < FAILED_SHARE:
        return None
    ranked = reasons.all_in_words(report.reasons, report.figures.outcomes)
    words, count = ranked[0]
    part = say.share(min(1.0, count / report.figures.failed))
    return say(
        f"{say.share(share)} of the requests failed. Begin with the most frequent reason ({part} of all failures): "
        f"{words[0]}.",
        f"{say.share(share)} 的请求失败。请先处理最常见的原因（占全部失败的 {part}）：{words[1]}。",
    )


def _silence(report: Report, say: Wording) -> str | None:
    share = report.figures.silent_share
    if share is None or share < SILENT_SHARE:
        return None
    return say(
        f"{say.count(report.figures.silent)} recordings had nothing to hear in them. Listeners notice these first: "
        "have them looked into.",
        f"有 {say.count(report.figures.silent)} 段音频没有声音。这是用户最先察觉的问题，请安排排查。",
    )


def _slowness(report: Report, say: Wording) -> str | None:
    share = report.figures.prompt_share
    if share is None or 1 - share < SLOW_SHARE:
        return None
    return say(
        f"{say.share(1 - share)} of the recordings took longer than two seconds. Ask for shorter texts, or for a "
        "faster or a further card.",
        f"{say.share(1 - share)} 的音频耗时超过 2 秒。可缩短文本，或更换更快的显卡、增加显卡。",
    )


def _turned_away(report: Report, say: Wording) -> str | None:
    count = report.figures.outcomes.get(Outcome.REJECTED, 0.0)
    if not report.figures.wanted or count / report.figures.wanted < TURNED_AWAY_SHARE:
        return None
    return say(
        f"{say.count(count)} requests were turned away. Find out whether they came at busy hours: then more capacity "
        "would have served them.",
        f"有 {say.count(count)} 个请求被拒绝。请确认是否集中在高峰时段：若是，增加容量即可满足。",
    )


def _growth(report: Report, say: Wording) -> str | None:
    now, before = report.figures.requests, report.before.requests
    if not before or not report.is_over or now / before - 1 < GROWTH:
        return None
    after = say.count(_rounded(now * now / before))
    return say(
        f"Demand grew by {now / before - 1:.0%}. If it goes on so, plan for about {after} requests next month.",
        f"请求量增长 {now / before - 1:.0%}。若保持此趋势，下月请按约 {after} 次请求准备。",
    )


def _rounded(number: float) -> float:
    """Two figures are all that a forecast has."""
    return float(f"{number:.2g}")


def _cards(report: Report, say: Wording) -> str | None:
    share = costs.busy_share(report)
    if share is None or IDLE <= share <= BUSY:
        return None
    if share > BUSY:
        return say(
            f"The graphics cards worked {say.share(share)} of the time: there is little left for more. Plan for a "
            "further one.",
            f"显卡有 {say.share(share)} 的时间在工作，余量很小，请规划增加显卡。",
        )
    return say(
        f"The graphics cards worked {say.share(share)} of the time that they were on. A smaller card, or switching "
        "off at night, would cost less.",
        f"显卡仅有 {say.share(share)} 的开机时间在工作。换用较小的显卡，或夜间关机，可节省费用。",
    )


def _price(report: Report, say: Wording) -> str | None:
    each, each_before = costs.of_a_recording(report)
    if not each or not each_before or each / each_before - 1 < DEARER:
        return None
    return say(
        f"A recording costs {each / each_before - 1:.0%} more than in the month before. Ask whether texts became "
        "longer, or whether something else runs on the cards.",
        f"每次合成的成本比上月高 {each / each_before - 1:.0%}。请确认文本是否变长，或显卡上是否运行了其他任务。",
    )


_RULES: Final[tuple[Rule, ...]] = (_records, _failures, _silence, _slowness, _turned_away, _growth, _cards, _price)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How each figure was made: its parts as they were counted, and the question for who wants to ask it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from otel_tts.readers.growth import Counted
from otel_tts.readers.prometheus_growth import selected
from otel_tts.reporting.report import Report
from otel_tts.reporting.wording import Wording


@dataclass(frozen=True)
class Made:
    """A figure's name, the exact figure, how it comes about and what was asked for it (empty for nothing)."""

    name: str
    value: str
    how: str
    asked: str = ""


def introduced(report: Report, say: Wording) -> Iterator[str]:
    """Where the figures are from."""
    zone = str(report.month.zone)
    yield say(
        f"Read from {report.source}; days begin at midnight in {zone}.",
        f"数据来自 {report.source}；日期按 {zone} 划分。",
    )
    yield say(
        "Each figure is a sum over all processes of what their counters grew by from midnight to midnight. A counter "
        f"that begins anew is added up, not extrapolated ({report.restarts} series did). What a watcher asks only to "
        "try the service (tts.canary) is not counted.",
        "每个数字都是所有进程的计数器在两个零点之间增量之和；计数器重新开始时累加，不做外推"
        f"（本期发生 {report.restarts} 次）。巡检请求（tts.canary）不计入。",
    )


def figures_made(report: Report, say: Wording) -> tuple[Made, ...]:
    """Every figure of a report, and what could not be read."""
    return (*_figures(report, say), *(Made(say("not read", "未读取"), gap.why, gap.text) for gap in report.gaps))


def _figures(report: Report, say: Wording) -> Iterator[Made]:
    now, before, asked = report.figures, report.before, report.asked
    outcomes = say("by outcome", "按结果")
    query = _query(asked.requests)
    yield Made(say("requests", "请求数"), _exact(now.requests), _parts(now.outcomes, outcomes), query)
    yield Made(say("the month before", "上月"), _exact(before.requests), _parts(before.outcomes, outcomes), query)
    yield Made(
        say("failed", "失败"),
        _exact(now.failed),
        say("error + anomalous + rejected, of all but cancelled", "error + anomalous + rejected，分母不含 cancelled")
        + f": {_exact(now.failed)} / {_exact(now.wanted)}",
    )
    yield Made(
        say("errors by class", "按类别的错误"),
        _exact(sum(report.reasons.values())),
        _parts({kind or "?": count for kind, count in report.reasons.items()}, "error.type"),
    )
    yield Made(
        say("within 2 s", "2 秒内"),
        f"{_exact(now.prompt)} / {_exact(now.measured)}",
        say("of outcome ok or anomalous, start to end of the synthesis", "结果为 ok 或 anomalous，从合成开始到结束"),
        f"{_query(asked.prompt)}\n{_query(asked.measured)}",
    )
    yield Made(
        say("silent or empty", "无声或为空"),
        f"{_exact(now.silent)} / {_exact(now.delivered)}",
        _parts(now.anomalies, "tts.audio.anomaly"),
        _query(asked.anomalies),
    )
    yield Made(
        say("seconds of audio", "音频秒数"),
        _exact(now.audio_seconds),
        say("as delivered", "按交付"),
        _query(asked.audio_seconds),
    )
    yield Made(
        say("GPU seconds", "GPU 秒数"),
        _exact(now.gpu_seconds),
        say("fair share of the devices' time; an estimate", "按公平分摊的设备时间，为估计值"),
        _query(asked.gpu_seconds),
    )
    yield from _costs(report, say)
    yield Made(
        say("hours heard of", "有数据的小时"), f"{sum(now.heard)} / {sum(now.hours)}", " ".join(map(str, now.heard))
    )


def _costs(report: Report, say: Wording) -> Iterator[Made]:
    cost = report.cost
    if cost is None:
        return
    value = f"{_exact(cost.amount)} {cost.currency}"
    if cost.price is None:
        yield Made(say("cost", "成本"), value, say("as services told it", "由服务上报"), _query(report.asked.cost))
    else:
        how = f"{_exact(report.figures.gpu_seconds)} / 3600 × {cost.price.amount:g} {cost.price.currency}"
        yield Made(say("cost", "成本"), value, how)


def _query(asked: Counted) -> str:
    """What is asked at the end of each day; the differences from day to day are added."""
    return f"last_over_time({selected(asked)}[1d])"


def _parts(parts: Mapping[str, float], by: str) -> str:
    return f"{by}: " + (", ".join(f"{name or '?'} {_exact(count)}" for name, count in parts.items()) or "–")


def _exact(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number:.0f}" if number == int(number) else f"{number:.6g}"

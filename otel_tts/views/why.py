# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why, in words: what was compared with what and what could not be; and all of it for a page, in both languages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from otel_tts.causes import answer_zh
from otel_tts.causes.answer import ADVICE, Cause
from otel_tts.causes.explain import Why
from otel_tts.causes.period import OTHER, Period
from otel_tts.causes.shared import Shared
from otel_tts.causes.stages import Excess
from otel_tts.causes.words import Words, chinese


def for_page(why: Why, period: Period) -> dict[str, Any]:
    """The causes with their evidence, the sentences below them, the excess by stage; texts are [English, Chinese]."""
    excess = why.excess
    return {
        "causes": [_cause(one) for one in why.causes],
        "compared": [_both(one) for one in compared(why, period)],
        "parts": [] if excess is None else _parts(excess),
    }


def _cause(one: Cause) -> dict[str, Any]:
    texts = {"title": one.title, "evidence": one.evidence, "remedy": one.remedy, "check": one.check}
    return {**{key: _both(text) for key, text in texts.items()}, "touches": one.touches, "of": one.of}


def _both(text: str) -> list[str]:
    return [str(text), chinese(text)]


def _parts(excess: Excess) -> list[list[Any]]:
    return [
        [None if part.stage == OTHER else part.stage, part.seconds, part.expected, part.share if excess.slow else None]
        for part in excess.parts
        if part.seconds or part.expected > 1e-5
    ]


def compared(why: Why, period: Period) -> list[Words]:
    """What was compared with what, and what could not be, in sentences."""
    en, zh = _canaries(period)
    if not len(period):
        return [Words(f"There is nothing to compare with: no other requests were read{en}.",
                      f"没有可比较的对象：没有读到其他请求{zh}。")]  # fmt: skip
    since, until = moment(period.since), moment(period.until)
    said = [
        Words(
            f"Compared with {len(period)} requests{en} that began from {since} to {until}.",
            f"与 {since} 至 {until} 开始的 {len(period)} 个请求{zh}比较。",
        )
    ]
    if why.excess is not None:
        said.append(_took(why.excess))
    said += filter(None, map(_looked, (why.slow, why.failed)))
    if why.accounts:
        told = ", ".join(f"{count} × {ADVICE[key][0]}" for key, count in why.accounts.items())
        told_zh = "、".join(f"{count} × {answer_zh.ADVICE[key][0]}" for key, count in why.accounts.items())
        said.append(Words(f"Of the slow ones' own account: {told}.", f"慢请求自述：{told_zh}。"))
    if (whole := sum(seconds for seconds in why.stages.values() if seconds > 0)) > 0:
        shares = {stage: f"{seconds / whole:.0%}" for stage, seconds in why.stages.items() if seconds > 0}
        told = ", ".join(f"{stage} {share}" for stage, share in shares.items())
        told_zh = "、".join(
            f"{'不属于任何阶段' if stage == OTHER else stage} {share}" for stage, share in shares.items()
        )
        said.append(
            Words(
                f"Of the {whole:.3g} s that the slow ones took in excess: {told}.",
                f"慢请求共超出 {whole:.3g} 秒，其中：{told_zh}。",
            )
        )
    return said


def _took(excess: Excess) -> Words:
    how = "longer than nineteen of twenty would" if excess.slow else "what such a text usually takes"
    how_zh = "比二十个中的十九个都久" if excess.slow else "与此类文本通常所需相当"
    return Words(
        f"It took {excess.seconds:.3g} s, {how}: {excess.whose} needs {excess.expected:.3g} s for a text of its "
        f"length (fitted to {excess.compared_with} requests).",
        f"用时 {excess.seconds:.3g} 秒，{how_zh}：{chinese(excess.whose)} 对此长度的文本需要 {excess.expected:.3g} 秒"
        f"（由 {excess.compared_with} 个请求拟合）。",
    )


def _canaries(period: Period) -> tuple[str, str]:
    if not period.canaries:
        return "", ""
    plural = "canary" if period.canaries == 1 else "canaries"
    return f" (and {period.canaries} {plural}, not counted)", f"（另有 {period.canaries} 个巡检请求，不计入）"


def _looked(shared: Shared) -> Words | None:
    if shared.which == "failed" and not shared.chosen:
        return None
    which = {"slow": "慢", "failed": "失败"}[shared.which]
    who = f"{shared.chosen} {shared.which} requests of {shared.total}"
    who_zh = f"{shared.total} 个请求中的 {shared.chosen} 个{which}请求"
    if shared.too_few:
        return Words(f"What the {shared.which} ones share: too few to tell ({who}).",
                     f"{which}请求的共同点：数量太少，无法判断（{who_zh}）。")  # fmt: skip
    if shared.named:
        return Words(f"{len(shared.named)} of {shared.looked_at} values stand out among {who}.",
                     f"{who_zh}：{shared.looked_at} 个取值里有 {len(shared.named)} 个突出。")  # fmt: skip
    return Words(f"None of {shared.looked_at} values stands out among {who}.",
                 f"{who_zh}：{shared.looked_at} 个取值里没有突出的。")  # fmt: skip


def moment(time: Any) -> str:
    """A Unix time in nanoseconds, in this machine's time zone."""
    try:
        return datetime.fromtimestamp(time / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S%z")
    except (ValueError, OverflowError, OSError):  # a clock that was never set
        return f"{time} ns"

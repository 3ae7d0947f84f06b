# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why: of one request, and of the slow and failed requests of a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from otel_tts.causes import columns, own, shared, stages
from otel_tts.causes.answer import Cause, by_property, cause
from otel_tts.causes.own import Request
from otel_tts.causes.period import OTHER, Period
from otel_tts.causes.shared import Named, Shared
from otel_tts.causes.stages import Excess
from otel_tts.causes.words import Words, chinese
from otel_tts.readers.model import Span, Synthesis


@dataclass(frozen=True)
class Why:
    """`causes` in the order in which they are to be believed; none is an answer: nothing stands out.

    `excess` is None where there is nothing to compare with, and for a period. `slow` and `failed` are what was looked
    for among all requests of the period. Of a period: `accounts` are how many of its slow requests say themselves what
    made them slow, `stages` the seconds that the slow ones took in excess, by stage, the most first.
    """

    causes: tuple[Cause, ...]
    excess: Excess | None
    slow: Shared
    failed: Shared
    accounts: Mapping[str, int] = field(default_factory=dict[str, int])
    stages: Mapping[str, float] = field(default_factory=dict[str, float])


def of_request(synthesis: Synthesis, spans: Sequence[Span], period: Period) -> Why:
    """Why this request was slow, or failed: its own facts, the stage at fault, what it shares with others like it."""
    excess = stages.excess(synthesis, period) if synthesis.span_id else None
    slow, failed = _looked(period)
    request = Request(synthesis, spans, None if excess is None else excess.slow, period)
    causes = own.facts(request)
    if excess is not None and excess.slow:
        causes += _stage(excess)
    has = dict(columns.of(synthesis))
    for found in [slow] if excess is not None and excess.slow else []:
        causes += [_told(one, found) for one in found.named if _has(has, one)]
    if synthesis.outcome in ("error", "anomalous"):
        causes += [_told(one, failed) for one in failed.named if _has(has, one)]
    if not causes and (fine := own.network(request)) is not None:
        causes = [fine]
    return Why(tuple(causes), excess, slow, failed)


def of_period(period: Period) -> Why:
    """What the slow ones and the failed ones of these requests share, and where the slow ones' time went."""
    slow, failed = _looked(period)
    causes = tuple(_told(one, found) for found in (slow, failed) for one in found.named)
    chosen, _ = shared.slow_ones(period)
    return Why(causes, None, slow, failed, own.accounts(period, chosen), stages.excess_of_all(period, chosen))


def _looked(period: Period) -> tuple[Shared, Shared]:
    """What the slow and the failed ones share; found out once, however many of them are explained."""
    if "shared" not in period.known:
        period.known["shared"] = (shared.slow(period), shared.failed(period))
    return period.known["shared"]


def _stage(excess: Excess) -> list[Cause]:
    part = excess.parts[0]
    if part.share is None or part.excess <= 0:
        return []
    beyond = excess.seconds - excess.expected
    told = Words(
        f"{part.seconds:.3g} s where {excess.whose} needs {part.expected:.3g} s for such a text: {part.share:.0%} of "
        f"the {beyond:.3g} s in excess",
        f"用时 {part.seconds:.3g} 秒，而 {chinese(excess.whose)} 对此类文本需要 {part.expected:.3g} 秒："
        f"占超出的 {beyond:.3g} 秒的 {part.share:.0%}",
    )
    which, which_zh = (
        ("what is in no stage", "不属于任何阶段的时间") if part.stage == OTHER else (part.stage, part.stage)
    )
    title = Words(f"{which} took longer than this text needs", f"{which_zh} 用时超过此文本所需")
    return [cause("stage", told, title, seconds=part.excess)]


def _told(one: Named, found: Shared) -> Cause:
    what, counts = said(one.name, one.value), one.counts
    which = {"slow": "慢", "failed": "失败"}[found.which]
    en = (
        f"{counts.both} of the {found.chosen} {found.which} requests have it ({one.share:.0%}), of the others "
        f"{one.share_of_others:.1%}; by chance p = {one.probability:.1g}"
    )
    zh = (
        f"{found.chosen} 个{which}请求中有 {counts.both} 个如此（{one.share:.0%}），其余请求中占 "
        f"{one.share_of_others:.1%}；纯属偶然的概率 p = {one.probability:.1g}"
    )
    if one.seconds is not None:
        longer = f"{max(0.0, one.seconds):.3g}"
        en += f"; with it a request takes {longer} s longer at the median"
        zh += f"；有此属性的请求中位数多用 {longer} 秒"
    if one.also:
        en += "; not to be told apart from " + ", ".join(said(*each) for each in one.also)
        zh += "；无法与之区分：" + "、".join(said(*each).zh for each in one.also)
    title = Words(f"{found.which} requests share {what}", f"{which}请求的共同点：{what.zh}")
    made = cause("shared", Words(en, zh), title, one.seconds, counts.having, counts.total)
    remedy, check = by_property(one.name)
    return replace(made, remedy=remedy, check=check)


def said(name: str, value: object) -> Words:
    """A property and its value, for people."""
    if value is None:
        return Words(f"no {name}", f"没有 {name}")
    return Words(name if value is True else f"{name} = {str(value).lower() if value is False else value}")


def _has(has: dict[str, columns.Value], one: Named) -> bool:
    return has.get(one.name) == one.value

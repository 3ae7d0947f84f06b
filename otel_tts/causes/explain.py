# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why: of one request, and of the slow and failed requests of a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from otel_tts.causes import columns, own, shared, stages
from otel_tts.causes.answer import ADVICE, BY_PROPERTY, Cause, cause
from otel_tts.causes.own import Request
from otel_tts.causes.period import OTHER, Period
from otel_tts.causes.shared import Named, Shared
from otel_tts.causes.stages import Excess
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
    slow, failed = shared.slow(period), shared.failed(period)
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
    slow, failed = shared.slow(period), shared.failed(period)
    causes = tuple(_told(one, found) for found in (slow, failed) for one in found.named)
    chosen, _ = shared.slow_ones(period)
    return Why(causes, None, slow, failed, own.accounts(period, chosen), stages.excess_of_all(period, chosen))


def _stage(excess: Excess) -> list[Cause]:
    part = excess.parts[0]
    if part.share is None or part.excess <= 0:
        return []
    said = (
        f"{part.seconds:.3g} s where {excess.whose} needs {part.expected:.3g} s for such a text: {part.share:.0%} of "
        f"the {excess.seconds - excess.expected:.3g} s in excess"
    )
    which = "what is in no stage" if part.stage == OTHER else part.stage
    return [cause("stage", said, f"{which} took longer than this text needs", seconds=part.excess)]


def _told(one: Named, found: Shared) -> Cause:
    what = said(one.name, one.value)
    evidence = (
        f"{one.counts.both} of the {found.chosen} {found.which} requests have it ({one.share:.0%}), of the others "
        f"{one.share_of_others:.1%}; by chance p = {one.probability:.1g}"
    )
    if one.seconds is not None:
        evidence += f"; with it a request takes {max(0.0, one.seconds):.3g} s longer at the median"
    if one.also:
        evidence += "; not to be told apart from " + ", ".join(said(*each) for each in one.also)
    made = cause(
        "shared", evidence, f"{found.which} requests share {what}", one.seconds, one.counts.having, one.counts.total
    )
    remedy, check = BY_PROPERTY.get(one.name, ADVICE["shared"][1:])
    return replace(made, remedy=remedy, check=check)


def said(name: str, value: object) -> str:
    """A property and its value, for people."""
    if value is None:
        return f"no {name}"
    return name if value is True else f"{name} = {str(value).lower() if value is False else value}"


def _has(has: dict[str, columns.Value], one: Named) -> bool:
    return has.get(one.name) == one.value

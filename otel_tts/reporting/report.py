# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A month's report: its figures, the month before, what it cost, why requests failed, and what all this lacks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from otel_tts.readers.growth import Counts
from otel_tts.readers.model import Gap
from otel_tts.readers.stores import MetricStore
from otel_tts.reporting import archive, month
from otel_tts.reporting.archive import Archived
from otel_tts.reporting.figures import Asked, Figures, ask, of_month
from otel_tts.reporting.month import Month
from otel_tts.trouble import Trouble


@dataclass(frozen=True)
class Price:
    """What an hour of one GPU costs."""

    amount: float
    currency: str


@dataclass(frozen=True)
class Cost:
    """What the work of a month cost. `price` is the hour's that was given; None where services told the cost."""

    amount: float
    currency: str
    price: Price | None


@dataclass(frozen=True)
class Report:
    """All that a page says. `until` is the end of what is counted, in Unix nanoseconds.

    `before` is the month before; of a month that is not over, as much of that one as this has had. `reasons` are errors
    by `error.type`, `""` where none is known.
    """

    month: Month
    until: int
    service: str | None
    source: str
    asked: Asked
    counts: Counts
    figures: Figures
    before: Figures
    cost: Cost | None
    cost_before: Cost | None
    reasons: Mapping[str, float]
    archived: Archived | None
    gaps: tuple[Gap, ...]

    @property
    def is_over(self) -> bool:
        """Whether the whole month lies behind."""
        return self.until >= self.month.end

    @property
    def left_out(self) -> float:
        """Requests that were counted before the first record: nobody can say in which month."""
        return self.counts.grown[0].left_out

    @property
    def restarts(self) -> int:
        """How often a counter of requests began anew; what it had counted is in."""
        return self.counts.grown[0].restarts


def make(
    text: str,
    store: MetricStore,
    zone: tzinfo,
    service: str | None = None,
    price: Price | None = None,
    day_files: Path | None = None,
    now: int | None = None,
) -> Report:
    """The report of the month that `text` names, as in 2026-10.

    Raises WrongUse for a month that is none or has not begun, Trouble where nothing is known of it.
    """
    now = (time.time_ns() if now is None else now) // 10**9 * 10**9
    wanted = month.read(text, zone, now)
    if day_files is not None:
        archive.check(day_files)
    until = min(now, wanted.end)
    asked = ask(service)
    cut = min(wanted.begin, wanted.before.begin + until - wanted.begin)
    first = wanted.before.times(cut)
    rest = () if cut == wanted.begin else (wanted.begin,)
    times = (*first, *rest, *wanted.times(now)[1:])
    counts = store.counts(asked.counted, asked.presences, times)
    figures = of_month(asked, counts, len(first) + len(rest) - 1, len(times) - 1, times)
    if not figures.is_known:
        why = "; ".join(gap.text for gap in counts.gaps)
        raise Trouble(f"Nothing is known of {wanted} in {store}{f': {why}' if why else '.'}")
    before = of_month(asked, counts, 0, len(first) - 1, times)
    archived = None if day_files is None else archive.read(day_files, wanted, until, service)
    return Report(
        wanted, until, service, str(store), asked, counts, figures, before, _cost(figures, price),
        _cost(before, price), _reasons(figures, archived), archived,
        (*counts.gaps, *(archived.gaps if archived else ())),
    )  # fmt: skip


def _cost(figures: Figures, price: Price | None) -> Cost | None:
    if price is not None:
        return None if figures.gpu_seconds is None else Cost(
            figures.gpu_seconds / 3600 * price.amount, price.currency, price
        )  # fmt: skip
    told = next(iter(figures.costs.items()), None)
    return None if told is None else Cost(told[1], told[0], None)


def _reasons(figures: Figures, archived: Archived | None) -> Mapping[str, float]:
    """Errors by reason: as counted, and for those counted without one what the day files say."""
    counted = dict(figures.reasons)
    unknown = counted.pop("", 0.0)
    if archived is not None and unknown:
        for kind, count in archived.reasons.items():
            more = min(unknown, max(0.0, count - counted.get(kind, 0.0)))
            if kind and more:
                counted[kind] = counted.get(kind, 0.0) + more
                unknown -= more
    found = dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))
    return {**found, "": unknown} if unknown else found

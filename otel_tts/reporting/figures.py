# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A month's figures, from what counters grew by. What is not known is None, never 0."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_tts import names
from otel_tts.names import Metric, Outcome
from otel_tts.readers.growth import Counted, Counts, Grown, Growth, Labels, Presence

PROMPT_S: Final = 2.0
"""A request that takes no longer is prompt; an edge of the histogram, so that the share is exact."""

FAILURES: Final = (Outcome.ERROR, Outcome.ANOMALOUS, Outcome.REJECTED)
"""Speech was wanted and none came that can be heard. Who hung up does not count on either side."""

DELIVERED: Final = (Outcome.OK, Outcome.ANOMALOUS)
SILENT: Final = ("silent", "empty")

CANARY: Final = ((names.CANARY, "true"), ("service.name", names.DOCTOR))
"""Requests by which a watcher or the doctor tries the service: nobody asked for them."""

ALIVE: Final = Metric("process.memory.usage", "updowncounter", "By", (), "resident memory")
"""What each process says from its start on, whether it is asked for speech or not."""


@dataclass(frozen=True)
class Asked:
    """The questions that a month's figures are made of, all of one service or of all."""

    requests: Counted
    measured: Counted
    prompt: Counted
    audio_seconds: Counted
    anomalies: Counted
    gpu_seconds: Counted
    cost: Counted
    alive: tuple[Presence, ...]
    cards: Presence

    @property
    def counted(self) -> tuple[Counted, ...]:
        """All questions of growth, in order."""
        return (
            self.requests, self.measured, self.prompt, self.audio_seconds, self.anomalies, self.gpu_seconds, self.cost,
        )  # fmt: skip

    @property
    def presences(self) -> tuple[Presence, ...]:
        """All questions of presence, in order."""
        return (*self.alive, self.cards)


def ask(service: str | None) -> Asked:
    """The questions, of one service or of all."""
    whose: Labels = () if service is None else (("service.name", service),)

    def counted(metric: Metric, *by: str, part: str | float = "") -> Counted:
        return Counted(metric, by, part, whose, CANARY)

    return Asked(
        requests=counted(names.REQUESTS, names.VOICE, names.OUTCOME, names.ERROR_TYPE),
        measured=counted(names.REQUEST_DURATION, names.OUTCOME, part="count"),
        prompt=counted(names.REQUEST_DURATION, names.OUTCOME, part=PROMPT_S),
        audio_seconds=counted(names.AUDIO_SECONDS, part="sum"),
        anomalies=counted(names.AUDIO_ANOMALIES, names.AUDIO_ANOMALY),
        gpu_seconds=counted(names.GPU_TIME),
        cost=counted(names.GPU_COST, names.COST_CURRENCY),
        alive=(Presence(names.REQUESTS, (), whose), Presence(ALIVE, (), whose)),
        cards=Presence(names.HW_MEMORY_LIMIT, (names.HW_ID,), whose),
    )


@dataclass(frozen=True)
class Figures:
    """What is known of a month. Days are those of the month that have begun, in order.

    `reasons` are errors by `error.type`, `""` where it is not known. `costs` are by currency. `heard` are the hours in
    which anything was heard of the service, day by day; `hours` how many hours each day has.
    """

    outcomes: Mapping[str, float]
    voices: Mapping[str, float]
    reasons: Mapping[str, float]
    by_day: tuple[float | None, ...]
    failed_by_day: tuple[float | None, ...]
    prompt_by_day: tuple[float | None, ...]
    measured: float
    prompt: float
    silent: float
    audio_seconds: float | None
    gpu_seconds: float | None
    card_hours: float | None
    cards: int
    costs: Mapping[str, float]
    heard: tuple[int, ...]
    hours: tuple[int, ...]
    anomalies: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def is_known(self) -> bool:
        """Whether anything was heard in this month."""
        return bool(self.outcomes) or any(self.heard)

    @property
    def requests(self) -> float:
        """All requests, however they ended."""
        return math.fsum(self.outcomes.values())

    @property
    def failed(self) -> float:
        """Requests that wanted speech and got none that can be heard."""
        return math.fsum(self.outcomes.get(outcome, 0.0) for outcome in FAILURES)

    @property
    def wanted(self) -> float:
        """Requests whose callers did not hang up."""
        return self.requests - self.outcomes.get(Outcome.CANCELLED, 0.0)

    @property
    def delivered(self) -> float:
        """Requests that were answered with audio."""
        return math.fsum(self.outcomes.get(outcome, 0.0) for outcome in DELIVERED)

    @property
    def failed_share(self) -> float | None:
        """Failed of wanted, 0 to 1."""
        return _share(self.failed, self.wanted)

    @property
    def prompt_share(self) -> float | None:
        """Audio that was done within `PROMPT_S` of all that was delivered, 0 to 1."""
        return _share(self.prompt, self.measured)

    @property
    def silent_share(self) -> float | None:
        """Audio with nothing to hear in it of all that was delivered, 0 to 1."""
        return _share(self.silent, self.delivered)

    @property
    def by_day_or_zero(self) -> tuple[float | None, ...]:
        """Requests of each day: 0 on a day on which the service was there and nobody asked, None on a missing one."""
        return tuple(
            0.0 if count is None and heard else count for count, heard in zip(self.by_day, self.heard, strict=True)
        )

    @property
    def missing_days(self) -> tuple[int, ...]:
        """The days, from 0, on which nothing was heard in any hour."""
        return tuple(day for day, hours in enumerate(self.heard) if not hours)

    @property
    def missing_hours(self) -> int:
        """Hours of the other days in which nothing was heard."""
        return sum(hours - heard for heard, hours in zip(self.heard, self.hours, strict=True) if heard)


def of_month(asked: Asked, counts: Counts, first: int, last: int, times: Sequence[int]) -> Figures:
    """The figures of the days from number `first` to before `last` of all that were asked for."""
    grown = {
        one: Grown(tuple(Growth(part.labels, part.values[first:last]) for part in answer.items))
        for one, answer in zip(asked.counted, counts.grown, strict=True)
    }
    requests = grown[asked.requests].items
    failed = [one for one in requests if one.labels.get(names.OUTCOME) in FAILURES]
    measured, prompt = (_delivered(grown[one]) for one in (asked.measured, asked.prompt))
    anomalies = _by(grown[asked.anomalies].items, names.AUDIO_ANOMALY)
    heard, hours = _hours(counts.seen[:-1], first, last, times)
    cards = [len(_within(seen, first, last, times)) for seen in counts.seen[-1].values()]
    return Figures(
        outcomes=_by(requests, names.OUTCOME),
        voices=_by(requests, names.VOICE),
        reasons=_by([one for one in failed if one.labels.get(names.OUTCOME) == Outcome.ERROR], names.ERROR_TYPE),
        by_day=_days(requests, last - first),
        failed_by_day=_days(failed, last - first),
        prompt_by_day=tuple(map(_share_of_day, _days(prompt, last - first), _days(measured, last - first))),
        measured=math.fsum(one.total for one in measured),
        prompt=math.fsum(one.total for one in prompt),
        silent=math.fsum(anomalies.get(kind, 0.0) for kind in SILENT),
        audio_seconds=_known(grown[asked.audio_seconds]),
        gpu_seconds=_known(grown[asked.gpu_seconds]),
        card_hours=float(sum(cards)) or None,
        cards=sum(map(bool, cards)),
        costs=_by(grown[asked.cost].items, names.COST_CURRENCY),
        heard=heard,
        hours=hours,
        anomalies=anomalies,
    )


def _by(growths: Iterable[Growth], label: str) -> dict[str, float]:
    """What was counted by one label, the most first; `""` is what has none."""
    found: Counter[str] = Counter()
    for one in growths:
        if one.total:
            found[one.labels.get(label, "")] += one.total  # pyright: ignore[reportArgumentType]
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _delivered(grown: Grown) -> list[Growth]:
    return [one for one in grown.items if one.labels.get(names.OUTCOME) in DELIVERED]


def _days(growths: Iterable[Growth], count: int) -> tuple[float | None, ...]:
    """What was counted on each day; None on a day of which nothing is known."""
    columns = list(zip(*(one.values for one in growths), strict=True)) or [()] * count
    return tuple(
        math.fsum(value for value in day if value is not None) if any(value is not None for value in day) else None
        for day in columns
    )


def _known(grown: Grown) -> float | None:
    return grown.total if any(value is not None for one in grown.items for value in one.values) else None


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _share_of_day(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _within(seen: frozenset[int], first: int, last: int, times: Sequence[int]) -> frozenset[int]:
    """The hours, counted from the first time, that lie in the days from `first` to before `last`."""
    begin, end = ((times[day] - times[0]) / 3600e9 for day in (first, last))
    return frozenset(hour for hour in seen if begin <= hour < end)


def _hours(
    seen: Sequence[Mapping[Labels, frozenset[int]]], first: int, last: int, times: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """In how many hours of each day anything was heard, and how many it has."""
    every = frozenset(hour for one in seen for hours in one.values() for hour in hours)
    days = range(first, last)
    heard = tuple(len(_within(every, day, day + 1, times)) for day in days)
    return heard, tuple(math.ceil((times[day + 1] - times[day]) / 3600e9) for day in days)

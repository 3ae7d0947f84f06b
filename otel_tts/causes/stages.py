# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""In which stage the time went that a request took in excess of what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_tts.causes import columns
from otel_tts.causes.period import OTHER, Flags, Period, characters_of, key_of
from otel_tts.readers.model import Synthesis

SLOW: Final = 1.645
"""Spreads above the law; one usual request of twenty is further."""


@dataclass(frozen=True)
class Part:
    """A stage's `seconds`, what it usually needs for such a text (`expected`), and its `share` of the whole excess."""

    stage: str
    seconds: float
    expected: float
    share: float | None

    @property
    def excess(self) -> float:
        """Seconds more than it needs."""
        return self.seconds - self.expected


@dataclass(frozen=True)
class Excess:
    """The same of the whole request: `apart` is how far above the law, in spreads, `whose` law it is.

    `parts` has the stage with most excess first. `slow`: it took longer than nineteen of twenty would have.
    """

    seconds: float
    expected: float
    apart: float
    whose: str
    compared_with: int
    parts: tuple[Part, ...]

    @property
    def slow(self) -> bool:
        """Whether it took longer than nineteen usual ones of twenty."""
        return self.apart > SLOW


def excess(synthesis: Synthesis, period: Period) -> Excess | None:
    """What it took beyond its need; None where its text's length is unknown, or too few requests of its engine."""
    characters = characters_of(synthesis)
    law = period.law(*key_of(synthesis))
    if law is None or np.isnan(characters):
        return None
    total = columns.total(synthesis)
    expected = float(law.expected(characters))
    whole = total - expected
    known = {stage: seconds for stage, seconds in synthesis.stages.items() if "." not in stage}
    stages = {stage: known.get(stage, 0.0) for stage in {*known, *(one for one in period.stages() if "." not in one)}}
    stages[OTHER] = max(0.0, total - sum(known.values()))
    parts: list[Part] = []
    for stage, seconds in stages.items():
        its = period.law(*key_of(synthesis), stage)
        needs = float(its.expected(characters)) if its is not None else 0.0
        parts.append(Part(stage, seconds, needs, (seconds - needs) / whole if whole > 0 else None))
    parts.sort(key=lambda part: -part.excess)
    return Excess(total, expected, float(law.excess(total, characters)), law.whose, law.count, tuple(parts))


def excess_of_all(period: Period, chosen: Flags) -> dict[str, float]:
    """Seconds that the chosen requests took beyond their need, all together, by stage; the most first."""
    names = [*(one for one in period.stages() if "." not in one), OTHER]
    sums = {name: float(np.nansum(period.beyond(name)[chosen])) for name in names} if chosen.any() else {}
    return dict(sorted(sums.items(), key=lambda one: -one[1]))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How generations end: by the model itself, at their limit of steps, or broken off. A request may hold several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from otel_tts import names
from otel_tts.engines.table import Finish
from otel_tts.names import FinishReason

_GRAVITY: Final = (FinishReason.STOP, FinishReason.ABORTED, FinishReason.LENGTH)


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation's end. `left`: an exception ended it, and the engine may yet make good for it."""

    reason: str
    steps: int | None = None
    limit: int | None = None
    left: bool = False

    @property
    def nearness(self) -> float:
        """Which part of its limit it needed; 0 where that is not known."""
        return self.steps / self.limit if self.steps is not None and self.limit else 0.0


def ended(finish: Finish) -> Generation | None:
    """Return what `finish` says; None where it says nothing that tells how a generation ended."""
    steps, limit = _number(finish.steps), _number(finish.limit)
    reason = finish.reason
    if reason is None and steps is not None and limit is not None:
        reason = FinishReason.LENGTH if steps >= limit else FinishReason.STOP
    return Generation(reason, steps, limit) if reason in names.FINISH_REASONS else None


def broken(finish: Finish | None) -> Generation:
    """Return the end of a generation that an exception left, as far as it had come."""
    if finish is None:
        return Generation(FinishReason.ABORTED, left=True)
    return Generation(FinishReason.ABORTED, _number(finish.steps), _number(finish.limit), left=True)


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and value >= 0 else None


def describe(generations: Iterable[Generation]) -> dict[str, Any]:
    """Return what several together are: the worst reason, steps and limit of the one nearest to its limit."""
    every = list(generations)
    nearest = max(every, key=lambda one: (one.nearness, one.steps or 0))
    facts = {
        names.FINISH_REASON: max((one.reason for one in every), key=_GRAVITY.index),
        names.GENERATION_STEPS: nearest.steps,
        names.GENERATION_LIMIT: nearest.limit,
    }
    return {name: value for name, value in facts.items() if value is not None}


def of_stage(attrs: dict[str, Any]) -> Generation | None:
    """Return what a stage's attributes say of its generation."""
    reason = attrs.get(names.FINISH_REASON)
    if reason is None:
        return None
    return Generation(reason, attrs.get(names.GENERATION_STEPS), attrs.get(names.GENERATION_LIMIT))

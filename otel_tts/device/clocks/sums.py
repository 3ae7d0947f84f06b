# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The time that a request spent in each kind of stage, once the device's times are known."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import TypeVar

from otel_tts import names
from otel_tts.device.clocks.clock import HOST
from otel_tts.record import StageRecord

K = TypeVar("K")


def add_up(stages: Sequence[StageRecord]) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Return the ns in each kind of stage that has device times, and in those that are parts of others (see
    `Stages.sums` and `Stages.parts`); stages of a kind that overlap count once.
    """
    if not any(map(_is_timed, stages)):
        return {}, {}
    counted = [stage for stage in stages if stage.counted]
    parts = ((_part(stage), stage) for stage in counted)
    return _sums((stage.stage, stage) for stage in counted), _sums((part, stage) for part, stage in parts if part)


def _sums(stages: Iterable[tuple[K, StageRecord]]) -> dict[K, int]:
    kinds: collections.defaultdict[K, list[StageRecord]] = collections.defaultdict(list)
    for kind, stage in stages:
        kinds[kind].append(stage)
    return {kind: _together(group) for kind, group in kinds.items() if any(map(_is_timed, group))}


def _part(stage: StageRecord) -> tuple[str, str] | None:
    outer = stage.nested
    return None if outer is None or outer.stage == stage.stage else (outer.stage, stage.stage)


def _is_timed(stage: StageRecord) -> bool:
    return stage.timing is not None and stage.attrs.get(names.TIMING_MODE, HOST) != HOST


def _together(stages: Sequence[StageRecord]) -> int:
    """Add what runs apart; one run after the other inside a span (a generator's) counts without the time between."""
    total = 0
    intervals: list[tuple[int, int]] = []
    for stage in stages:
        if _is_timed(stage) and getattr(stage.timing, "runs", 1) > 1:
            total += round(stage.timing.spent)
        elif stage.count > 1:
            total += round(stage.attrs[names.STAGE_HOST_DURATION] * 1e9)
        else:
            intervals.append((stage.t0, stage.t1 or stage.t0))
    covered = 0
    for start, end in sorted(intervals):
        total += max(0, end - max(start, covered))
        covered = max(covered, end)
    return total

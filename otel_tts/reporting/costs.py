# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording and a minute of speech cost, and how busy the cards were."""

from __future__ import annotations

from collections.abc import Callable

from otel_tts.reporting.figures import Figures
from otel_tts.reporting.report import Report

Pair = tuple[float | None, float | None]
"""Of the month, and of the one before; None where it is not known."""


def of_a_recording(report: Report) -> Pair:
    """What one delivered recording cost."""
    return _each(report, lambda figures: figures.delivered)


def of_a_minute(report: Report) -> Pair:
    """What a minute of speech cost."""
    return _each(report, lambda figures: (figures.audio_seconds or 0.0) / 60)


def busy_share(report: Report) -> float | None:
    """How much of the time in which they were on the graphics cards worked, 0 to 1."""
    seconds, hours = report.figures.gpu_seconds, report.figures.card_hours
    return None if seconds is None or not hours else min(1.0, seconds / 3600 / hours)


def _each(report: Report, count: Callable[[Figures], float]) -> Pair:
    now, before = report.cost, report.cost_before
    if now is not None and before is not None and now.currency != before.currency:
        before = None  # two kinds of money are not compared
    pairs = ((now, count(report.figures)), (before, count(report.before)))
    each = [None if cost is None or not many else cost.amount / many for cost, many in pairs]
    return each[0], each[1]

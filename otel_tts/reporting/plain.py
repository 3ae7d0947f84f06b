# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A report as plain values for JSON: what is not known is null, shares lie between 0 and 1, times are in seconds."""

from __future__ import annotations

from datetime import date
from typing import Any

from otel_tts.reporting import costs
from otel_tts.reporting.advice import advise
from otel_tts.reporting.figures import Figures
from otel_tts.reporting.lacking import lacking
from otel_tts.reporting.report import Cost, Report
from otel_tts.reporting.wording import Language, Wording


def document(report: Report, language: Language) -> dict[str, Any]:
    """All that a report says; sentences are in one language."""
    say = Wording(language)
    each, each_before = costs.of_a_recording(report)
    days = report.month.days
    return {
        "month": str(report.month),
        "zone": str(report.month.zone),
        "is_over": report.is_over,
        "until_unix_nano": report.until,
        "service": report.service,
        "source": report.source,
        "figures": {**_figures(report.figures, days), "cost": _cost(report.cost), "cost_of_each": each},
        "before": {
            **_figures(report.before, report.month.before.days),
            "cost": _cost(report.cost_before),
            "cost_of_each": each_before,
        },
        "errors_by_type": dict(report.reasons),
        "busy_share": costs.busy_share(report),
        "restarts": report.restarts,
        "left_out": report.left_out,
        "advice": advise(report, say),
        "lacking": list(lacking(report, say)),
        "gaps": [{"why": gap.why, "text": gap.text} for gap in report.gaps],
    }


def _figures(figures: Figures, days: tuple[date, ...]) -> dict[str, Any]:
    return {
        "known": figures.is_known,
        "requests": figures.requests,
        "outcomes": dict(figures.outcomes),
        "delivered": figures.delivered,
        "failed": figures.failed,
        "failed_share": figures.failed_share,
        "within_2s": figures.prompt,
        "measured": figures.measured,
        "within_2s_share": figures.prompt_share,
        "silent": figures.silent,
        "silent_share": figures.silent_share,
        "voices": dict(figures.voices),
        "audio_seconds": figures.audio_seconds,
        "gpu_seconds": figures.gpu_seconds,
        "card_hours": figures.card_hours,
        "missing_days": [str(days[number]) for number in figures.missing_days],
        "missing_hours": figures.missing_hours,
        "by_day": dict(zip(map(str, days), figures.by_day_or_zero, strict=False)),
        "failed_by_day": dict(zip(map(str, days), figures.failed_by_day, strict=False)),
    }


def _cost(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    price = None if cost.price is None else cost.price.amount
    return {"amount": cost.amount, "currency": cost.currency, "price_of_gpu_hour": price}

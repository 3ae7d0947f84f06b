# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of many requests: quantiles."""

from __future__ import annotations

from collections.abc import Iterable


def quantiles(values: Iterable[float | None]) -> dict[str, float | None]:
    """Return the median and the 95th percentile of the values that are known, by name."""
    known = sorted(value for value in values if value is not None)
    return {f"p{percent}": quantile(known, percent / 100) for percent in (50, 95)}


def quantile(ordered: list[float], share: float) -> float | None:
    """The value below which `share` of `ordered` lies, between neighbours in proportion; None without values."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Merges metric points that became equal when a label was removed: two points of one series are no valid export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    NumberDataPoint,
)

Point: TypeAlias = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint

_MAX_BUCKETS: Final = 160
"""The SDK's own bound on the buckets of an exponential histogram."""
_MAX_EXEMPLARS: Final = 32


def merge(points: Iterable[Any], data: Any) -> list[Any]:
    """Return `points` with those of equal labels made one; `data` is the Sum, Gauge or histogram that they are of.

    Sums and histograms are added. Of a gauge the latest point stays: gauges cannot be added.
    """
    merged: dict[tuple[Any, ...], Any] = {}
    latest = isinstance(data, Gauge)
    for point in points:
        key = _identity(point.attributes or {})
        first = merged.get(key)
        if first is None:
            merged[key] = point
        elif latest:
            merged[key] = max(first, point, key=lambda p: p.time_unix_nano)
        else:
            merged[key] = _add(first, point)
    return list(merged.values())


def _identity(labels: Mapping[str, Any]) -> tuple[Any, ...]:
    # With the type: 1, 1.0 and True are equal in Python and different labels in OTLP.
    return tuple(sorted((key, type(value).__name__, repr(value)) for key, value in labels.items()))


def _add(a: Point, b: Point) -> Point:
    common: dict[str, Any] = {
        "start_time_unix_nano": min(a.start_time_unix_nano, b.start_time_unix_nano),
        "time_unix_nano": max(a.time_unix_nano, b.time_unix_nano),
        "exemplars": [*a.exemplars, *b.exemplars][:_MAX_EXEMPLARS],
    }
    if isinstance(a, NumberDataPoint) and isinstance(b, NumberDataPoint):
        return replace(a, value=a.value + b.value, **common)
    if isinstance(a, HistogramDataPoint) and isinstance(b, HistogramDataPoint):
        if tuple(a.explicit_bounds) != tuple(b.explicit_bounds):
            raise ValueError("histograms of one metric with different bounds cannot be added")
        counts = [x + y for x, y in zip(a.bucket_counts, b.bucket_counts, strict=True)]
        return replace(a, bucket_counts=counts, **_totals(a, b), **common)
    if isinstance(a, ExponentialHistogramDataPoint) and isinstance(b, ExponentialHistogramDataPoint):
        return replace(a, **_add_exponential(a, b), **_totals(a, b), **common)
    raise TypeError("points of one metric are of different kinds")


def _totals(a: Any, b: Any) -> dict[str, Any]:
    return {
        "count": a.count + b.count,
        "sum": a.sum + b.sum,
        "min": _extreme(min, a.min, b.min),
        "max": _extreme(max, a.max, b.max),
    }


def _extreme(choose: Any, a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else choose(a, b)


def _add_exponential(a: ExponentialHistogramDataPoint, b: ExponentialHistogramDataPoint) -> dict[str, Any]:
    scale = min(a.scale, b.scale)
    sides = [
        _spread(x, a.scale - scale) + _spread(y, b.scale - scale)
        for x, y in ((a.positive, b.positive), (a.negative, b.negative))
    ]
    # One step down in scale joins pairs of neighbouring buckets, as the SDK does when a histogram outgrows its bound.
    while any(side and max(side) - min(side) >= _MAX_BUCKETS for side in sides):
        scale -= 1
        sides = [_shift(side, 1) for side in sides]
    positive, negative = map(_gather, sides)
    return {"scale": scale, "zero_count": a.zero_count + b.zero_count, "positive": positive, "negative": negative}


def _spread(buckets: Buckets, steps: int) -> Counter[int]:
    """Return the counts by index, at a scale that is `steps` lower."""
    return _shift({buckets.offset + i: count for i, count in enumerate(buckets.bucket_counts) if count}, steps)


def _shift(counts: Mapping[int, int], steps: int) -> Counter[int]:
    shifted: Counter[int] = Counter()
    for index, count in counts.items():
        shifted[index >> steps] += count
    return shifted


def _gather(counts: Mapping[int, int]) -> Buckets:
    if not counts:
        return Buckets(offset=0, bucket_counts=[])
    low = min(counts)
    row: Sequence[int] = [counts.get(index, 0) for index in range(low, max(counts) + 1)]
    return Buckets(offset=low, bucket_counts=row)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The SDK's MetricsData as an ExportMetricsServiceRequest."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Histogram, Sum

from otel_tts.export.origin import Origins
from otel_tts.export.wire import Attributes, count, double, each, field, fixed64, moment, signed64, text, varint


class MetricEncoder:
    """Encodes what one reader collected."""

    def __init__(self) -> None:
        self._origins = Origins()
        self._number, self._histogram, self._exponential = (Attributes(tag) for tag in (b"\x3a", b"\x4a", b"\x0a"))
        self._filtered = Attributes(b"\x3a")

    def encode(self, data: Any) -> tuple[bytes, int]:
        """Return the request's bytes, and how many metrics are in it."""
        groups = [
            (part.resource, of_scope.scope, [found for _, found in each(of_scope.metrics, self._metric, "metric")])
            for part in data.resource_metrics
            for of_scope in part.scope_metrics
        ]
        return self._origins.wrap(groups), sum(len(metrics) for _, _, metrics in groups)

    def _metric(self, metric: Any) -> bytes:
        data, inner = metric.data, b""
        points = data.data_points
        if isinstance(data, Histogram):
            inner = _of_points(b"\x4a", map(self._buckets, points), _temporality(data) if points else b"")
        elif isinstance(data, Sum):
            more = _temporality(data) + (b"\x18\x01" if data.is_monotonic else b"") if points else b""
            inner = _of_points(b"\x3a", map(self._value, points), more)
        elif isinstance(data, Gauge):
            inner = _of_points(b"\x2a", map(self._gauge, points))
        elif isinstance(data, ExponentialHistogram):
            inner = _of_points(b"\x52", map(self._scaled, points), _temporality(data) if points else b"")
        head = text(b"\x0a", metric.name) + text(b"\x12", metric.description) + text(b"\x1a", metric.unit)
        return field(b"\x12", head + inner)

    def _value(self, point: Any) -> bytes:
        return self._gauge(point, moment(b"\x11", point.start_time_unix_nano))

    def _gauge(self, point: Any, start: bytes = b"") -> bytes:
        as_double, as_int = _number(point.value, b"\x21", b"\x31")
        out = [start, moment(b"\x19", point.time_unix_nano), as_double]
        self._exemplars(b"\x2a", point.exemplars, out)
        out.append(as_int)
        self._number.add(point.attributes, out)
        return field(b"\x0a", b"".join(out))

    def _buckets(self, point: Any) -> bytes:
        counts, bounds = point.bucket_counts, point.explicit_bounds
        out = [
            moment(b"\x11", point.start_time_unix_nano), moment(b"\x19", point.time_unix_nano),
            b"\x21" + fixed64(point.count) if point.count else b"", b"\x29", double(point.sum),
            field(b"\x32", struct.pack(f"<{len(counts)}Q", *counts)) if counts else b"",
            field(b"\x3a", struct.pack(f"<{len(bounds)}d", *bounds)) if bounds else b"",
        ]  # fmt: skip
        self._exemplars(b"\x42", point.exemplars, out)
        self._histogram.add(point.attributes, out)
        out += (b"\x59", double(point.min), b"\x61", double(point.max))
        return field(b"\x0a", b"".join(out))

    def _scaled(self, point: Any) -> bytes:
        out: list[bytes] = []
        self._exponential.add(point.attributes, out)
        out += (
            moment(b"\x11", point.start_time_unix_nano), moment(b"\x19", point.time_unix_nano),
            b"\x21" + fixed64(point.count) if point.count else b"", b"\x29", double(point.sum),
            count(b"\x30", _zigzag(point.scale)), b"\x39" + fixed64(point.zero_count) if point.zero_count else b"",
            _side(b"\x42", point.positive), _side(b"\x4a", point.negative), count(b"\x50", point.flags),
        )  # fmt: skip
        self._exemplars(b"\x5a", point.exemplars, out)
        out += (b"\x61", double(point.min), b"\x69", double(point.max))
        return field(b"\x0a", b"".join(out))

    def _exemplars(self, tag: bytes, exemplars: Iterable[Any], out: list[bytes]) -> None:
        for one in exemplars:
            as_double, as_int = _number(one.value, b"\x19", b"\x31")
            parts = [moment(b"\x11", one.time_unix_nano), as_double]
            if one.span_id is not None and one.trace_id is not None:
                parts += (b"\x22\x08", one.span_id.to_bytes(8, "big"), b"\x2a\x10", one.trace_id.to_bytes(16, "big"))
            parts.append(as_int)
            self._filtered.add(one.filtered_attributes, parts)
            out.append(field(tag, b"".join(parts)))


def _of_points(tag: bytes, points: Iterable[bytes], more: bytes = b"") -> bytes:
    inner = b"".join((*points, more))
    return field(tag, inner) if inner else b""


def _temporality(data: Any) -> bytes:
    return count(b"\x10", int(data.aggregation_temporality))


def _number(value: float, as_double: bytes, as_int: bytes) -> tuple[bytes, bytes]:
    """Return a number as the one field or the other: between them stand others, and fields go by their numbers."""
    return (b"", as_int + signed64(value)) if isinstance(value, int) else (as_double + double(value), b"")


def _side(tag: bytes, buckets: Any) -> bytes:
    counts: Sequence[int] = buckets.bucket_counts
    if not counts:
        return b""
    return field(tag, count(b"\x08", _zigzag(buckets.offset)) + field(b"\x12", b"".join(map(varint, counts))))


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads OTLP JSON lines back into plain values, one line at a time; a file that ends in .gz is unpacked on the way.

A file may still be growing or may have lost its end with the process that wrote it: a last line without a line feed
that does not parse is torn and left out; any other line that does not parse is left out as well. Both are reported
with their number, so that nothing disappears unseen.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

_logger = logging.getLogger(__name__)

TRACES: Final = "traces"
METRICS: Final = "metrics"
LOGS: Final = "logs"

Attributes = Mapping[str, Any]
"""Values are str, bool, int, float, bytes as base64, or lists and dicts of these."""


@dataclass(frozen=True)
class Event:
    """Something that happened within a span; `time` in Unix nanoseconds."""

    name: str
    time: int
    attributes: Attributes


@dataclass(frozen=True)
class Span:
    """One span; `start` and `end` in Unix nanoseconds, ids in hex, `parent_id` empty for a root."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    attributes: Attributes
    events: tuple[Event, ...]
    status: str
    status_message: str
    scope: str
    resource: Attributes

    @property
    def seconds(self) -> float:
        """Its duration."""
        return (self.end - self.start) / 1e9


@dataclass(frozen=True)
class LogLine:
    """One log record; `time` in Unix nanoseconds (0 when unknown), ids in hex, empty outside a span."""

    time: int
    severity: str
    body: Any
    event_name: str
    attributes: Attributes
    trace_id: str
    span_id: str
    scope: str
    resource: Attributes


@dataclass(frozen=True)
class Exemplar:
    """A measurement that a point keeps, with the span in which it was taken."""

    value: float
    time: int
    trace_id: str
    span_id: str


@dataclass(frozen=True)
class Point:
    """One data point: `value` of a sum or gauge; `count`, `sum`, `bounds` and `buckets` of a histogram."""

    metric: str
    kind: str
    unit: str
    attributes: Attributes
    start: int
    time: int
    value: float | None
    count: int | None
    sum: float | None
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exemplars: tuple[Exemplar, ...]
    scope: str
    resource: Attributes


@dataclass(frozen=True)
class BadLine:
    """A line that was left out: `torn` when it is an unfinished last one, else it is broken."""

    path: Path
    number: int
    torn: bool
    reason: str

    def __str__(self) -> str:
        what = "is torn: its writer ended or is still at it" if self.torn else f"is broken: {self.reason}"
        return f"{self.path}, line {self.number} {what}"


def warn(bad: BadLine) -> None:
    """The default for `on_bad`: a warning to the log."""
    _logger.warning("left out: %s", bad)


OnBad = Callable[[BadLine], None]
T = TypeVar("T")


def find(folder: Path, signal: str) -> list[Path]:
    """Return the files of `signal` in `folder`: of each process the one that grows and those that are full.

    A file that is there packed as well is left out: its packing was cut short.
    """
    plain = [*folder.glob(f"{signal}.jsonl"), *folder.glob(f"{signal}-*.jsonl")]
    packed = {*folder.glob(f"{signal}.jsonl.gz"), *folder.glob(f"{signal}-*.jsonl.gz")}
    return sorted([*packed, *(path for path in plain if path.with_name(path.name + ".gz") not in packed)])


def read_spans(path: Path, on_bad: OnBad = warn) -> Iterator[Span]:
    """Yield the spans of `path`, in the order written. Raises OSError when the file cannot be read."""
    return _read(path, _spans, on_bad)


def read_logs(path: Path, on_bad: OnBad = warn) -> Iterator[LogLine]:
    """Yield the log records of `path`, in the order written. Raises OSError when the file cannot be read."""
    return _read(path, _logs, on_bad)


def read_points(path: Path, on_bad: OnBad = warn) -> Iterator[Point]:
    """Yield the data points of `path`, in the order written. Raises OSError when the file cannot be read."""
    return _read(path, _points, on_bad)


def _read(path: Path, take: Callable[[Any], Iterator[T]], on_bad: OnBad) -> Iterator[T]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in _numbered(path, lines, on_bad):
            if not line.strip():
                continue
            try:
                found = list(take(json.loads(line.strip())))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                on_bad(BadLine(path, number, not line.endswith(b"\n"), _why(error)))
                continue
            yield from found


def _numbered(path: Path, lines: Iterable[bytes], on_bad: OnBad) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        on_bad(BadLine(path, number + 1, True, "the packed file ends before its end"))


def _why(error: Exception) -> str:
    # Not the message of every error: a broken line's own content has no place in a report.
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at character {error.pos + 1}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return f"not OTLP JSON ({type(error).__name__})"


def _spans(document: Any) -> Iterator[Span]:
    for resource, scope, item in _items(document, "resourceSpans", "scopeSpans", "spans"):
        status = item.get("status", {})
        yield Span(
            trace_id=item["traceId"],
            span_id=item["spanId"],
            parent_id=item.get("parentSpanId", ""),
            name=item.get("name", ""),
            kind=_enum(item.get("kind"), _KINDS),
            start=_int(item["startTimeUnixNano"]),
            end=_int(item["endTimeUnixNano"]),
            attributes=_attributes(item),
            events=tuple(_event(event) for event in item.get("events", ())),
            status=_enum(status.get("code"), _STATUSES),
            status_message=status.get("message", ""),
            scope=scope,
            resource=resource,
        )


def _event(item: Any) -> Event:
    return Event(item.get("name", ""), _int(item.get("timeUnixNano")), _attributes(item))


def _logs(document: Any) -> Iterator[LogLine]:
    for resource, scope, item in _items(document, "resourceLogs", "scopeLogs", "logRecords"):
        yield LogLine(
            time=_int(item.get("timeUnixNano")) or _int(item.get("observedTimeUnixNano")),
            severity=item.get("severityText", ""),
            body=_value(item.get("body", {})),
            event_name=item.get("eventName", ""),
            attributes=_attributes(item),
            trace_id=item.get("traceId", ""),
            span_id=item.get("spanId", ""),
            scope=scope,
            resource=resource,
        )


def _points(document: Any) -> Iterator[Point]:
    for resource, scope, metric in _items(document, "resourceMetrics", "scopeMetrics", "metrics"):
        for key, kind in _METRIC_KINDS.items():
            for item in metric.get(key, {}).get("dataPoints", ()):
                yield Point(
                    metric=metric["name"],
                    kind=kind,
                    unit=metric.get("unit", ""),
                    attributes=_attributes(item),
                    start=_int(item.get("startTimeUnixNano")),
                    time=_int(item.get("timeUnixNano")),
                    value=_number(item),
                    count=_int(item["count"]) if "count" in item else None,
                    sum=float(item["sum"]) if "sum" in item else None,
                    bounds=tuple(float(bound) for bound in item.get("explicitBounds", ())),
                    buckets=tuple(_int(count) for count in item.get("bucketCounts", ())),
                    exemplars=tuple(_exemplar(exemplar) for exemplar in item.get("exemplars", ())),
                    scope=scope,
                    resource=resource,
                )


def _exemplar(item: Any) -> Exemplar:
    value = _number(item)
    return Exemplar(
        float("nan") if value is None else value,
        _int(item.get("timeUnixNano")),
        item.get("traceId", ""),
        item.get("spanId", ""),
    )


def _items(document: Any, resources: str, scopes: str, items: str) -> Iterator[tuple[Attributes, str, Any]]:
    for of_resource in document.get(resources, ()):
        resource = _attributes(of_resource.get("resource", {}))
        for of_scope in of_resource.get(scopes, ()):
            scope = of_scope.get("scope", {}).get("name", "")
            for item in of_scope.get(items, ()):
                yield resource, scope, item


def _attributes(item: Any) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value", {})) for pair in item.get("attributes", ())}


def _value(value: Any) -> Any:
    """The plain value of an AnyValue; 64-bit integers are strings in OTLP JSON, and so are NaN and infinities."""
    for key, raw in value.items():
        match key:
            case "intValue":
                return int(raw)
            case "doubleValue":
                return float(raw)
            case "arrayValue":
                return [_value(part) for part in raw.get("values", ())]
            case "kvlistValue":
                return {pair["key"]: _value(pair.get("value", {})) for pair in raw.get("values", ())}
            case _:
                return raw
    return None


def _number(item: Any) -> float | None:
    for key in ("asDouble", "asInt"):
        if key in item:
            return float(item[key])
    return None


def _int(raw: Any) -> int:
    return int(raw or 0)


def _enum(raw: Any, names: tuple[str, ...]) -> str:
    """OTLP JSON writes enums as numbers; some writers use the names of the protocol's constants."""
    if isinstance(raw, str):
        return raw.rsplit("_", 1)[-1].lower()
    return names[raw or 0]


_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")
_METRIC_KINDS: Final = {
    "sum": "sum",
    "gauge": "gauge",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}

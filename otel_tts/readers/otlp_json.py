# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTLP JSON documents as plain values, whoever wrote them: exporters, the Collector, Jaeger, Tempo.

A document that is not OTLP JSON raises ValueError, TypeError, KeyError or AttributeError (`BROKEN`) on the way.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator
from typing import Any, Final

from otel_tts.readers.model import Attributes, Event, Exemplar, LogLine, Point, Span

BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


def spans(document: Any) -> Iterator[Span]:
    """Yield the spans under `resourceSpans`, in the order written."""
    for resource, scope, item in _items(document, "resourceSpans", "scopeSpans", "spans"):
        status = item.get("status", {})
        yield Span(
            trace_id=_id(item["traceId"]),
            span_id=_id(item["spanId"]),
            parent_id=_id(item.get("parentSpanId")),
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


def logs(document: Any) -> Iterator[LogLine]:
    """Yield the log records under `resourceLogs`, in the order written."""
    for resource, scope, item in _items(document, "resourceLogs", "scopeLogs", "logRecords"):
        yield LogLine(
            time=_int(item.get("timeUnixNano")) or _int(item.get("observedTimeUnixNano")),
            severity=item.get("severityText", ""),
            body=_value(item.get("body", {})),
            event_name=item.get("eventName", ""),
            attributes=_attributes(item),
            trace_id=_id(item.get("traceId")),
            span_id=_id(item.get("spanId")),
            scope=scope,
            resource=resource,
        )


def points(document: Any, wanted: Collection[str] | None = None) -> Iterator[Point]:
    """Yield the data points under `resourceMetrics`, in the order written; with `wanted` of these metrics only."""
    for resource, scope, metric in _items(document, "resourceMetrics", "scopeMetrics", "metrics"):
        if wanted is not None and metric["name"] not in wanted:
            continue
        for key, kind in _METRIC_KINDS.items():
            data = metric.get(key, {})
            delta = data.get("aggregationTemporality") in _DELTA
            for item in data.get("dataPoints", ()):
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
                    delta=delta,
                )


def _exemplar(item: Any) -> Exemplar:
    value = _number(item)
    return Exemplar(
        float("nan") if value is None else value,
        _int(item.get("timeUnixNano")),
        _id(item.get("traceId")),
        _id(item.get("spanId")),
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
            case "stringValue" | "boolValue":
                return raw
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


def _id(raw: str | None) -> str:
    """An id in lower-case hex, empty for none (or all zeros).

    A server that makes JSON of protobuf by protobuf's general rule writes base64.
    """
    if not raw:
        return ""
    if raw[-1] == "=" and len(raw) in _BASE64_LENGTHS:
        return base64.b64decode(raw, validate=True).hex()
    return raw.lower() if raw.strip("0") else ""


def _int(raw: Any) -> int:
    return int(raw or 0)


def _enum(raw: Any, names: tuple[str, ...]) -> str:
    """OTLP JSON writes enums as numbers; some writers use the names of the protocol's constants."""
    if isinstance(raw, str):
        return raw.rsplit("_", 1)[-1].lower()
    return names[raw or 0]


_BASE64_LENGTHS: Final = (12, 24)  # of 8 and of 16 bytes, each with its padding
_DELTA: Final = (1, "AGGREGATION_TEMPORALITY_DELTA")
_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")
_METRIC_KINDS: Final = {
    "sum": "sum",
    "gauge": "gauge",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}

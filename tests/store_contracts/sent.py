# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-made OTLP JSON: spans and log records of requests, as they would be sent to any store."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from typing import Any

from otel_tts import names

MS = 10**6
S = 10**9
DAY = 86400 * S

_number = itertools.count(1)


def value(plain: Any) -> dict[str, Any]:
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, (list, tuple)):
        return {"arrayValue": {"values": [value(part) for part in plain]}}
    return {"stringValue": plain}


def pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(plain)} for key, plain in attributes.items()]


def span(trace: str, name: str, start: int, end: int, parent: str = "", kind: int = 1, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "traceId": trace, "spanId": secrets.token_hex(8), "name": name, "kind": kind, "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end), "attributes": pairs(more.pop("attributes", {})), "status": {}, **more,
    }  # fmt: skip
    return {**made, "parentSpanId": parent} if parent else made


def traces(service: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    scope = {"scope": {"name": names.SCOPE}, "spans": spans}
    resource = {"attributes": pairs({"service.name": service, "host.name": "h"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def logs(service: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    scope = {"scope": {"name": names.SCOPE}, "logRecords": records}
    resource = {"attributes": pairs({"service.name": service, "host.name": "h"})}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


class Request:
    """One request: its server span, a synthesis of `seconds` from `start` on, with stages of given seconds."""

    def __init__(
        self, start: int, request_id: str | None = None, seconds: float = 1.0, trace: str | None = None,
        stages: Mapping[str, float] | None = None, parent: str = "", **attributes: Any,
    ) -> None:  # fmt: skip
        self.trace = trace or secrets.token_hex(16)
        self.id = request_id or f"rid-{next(_number)}-{secrets.token_hex(4)}"
        self.start, self.end = start, start + round(seconds * S)
        self.attributes = {
            names.REQUEST_ID: self.id, names.OPERATION_NAME: names.OPERATION, names.ENGINE: "kokoro",
            names.OUTCOME: "ok", names.MODEL: "m1", names.VOICE: "alba", names.TEXT_LENGTH: 42,
            names.REAL_TIME_FACTOR: 0.5, names.COLD_START: False, **attributes,
        }  # fmt: skip
        server = {names.REQUEST_ID: self.id, "http.response.status_code": 200}
        self.server = span(self.trace, "POST /speak", start - MS, self.end + MS, parent, 2, attributes=server)
        self.synthesis = span(
            self.trace, "text_to_speech m1", start, self.end, self.server["spanId"], attributes=self.attributes
        )
        self.spans = [self.server, self.synthesis]
        at = start
        for stage, took in (stages if stages is not None else {"vocoder": 0.25}).items():
            self.add(stage, at, took)
            at += round(took * S)

    def add(self, stage: str, start: int, seconds: float, **attributes: Any) -> dict[str, Any]:
        """One more span of a stage."""
        said = {names.STAGE: stage, **attributes}
        made = span(
            self.trace, f"tts.{stage}", start, start + round(seconds * S), self.synthesis["spanId"], attributes=said
        )
        self.spans.append(made)
        return made


def record(
    time: int, event: str, text: str, trace: str = "", span_id: str = "", severity: str = "INFO", **attributes: Any
) -> dict[str, Any]:
    numbers = {"INFO": 9, "WARN": 13, "ERROR": 17}
    return {
        "timeUnixNano": str(time), "observedTimeUnixNano": str(time), "severityNumber": numbers[severity],
        "severityText": severity, "body": {"stringValue": text}, "eventName": event, "traceId": trace,
        "spanId": span_id, "attributes": pairs(attributes),
    }  # fmt: skip


def metrics(service: str, made: list[dict[str, Any]], instance: str = "1") -> dict[str, Any]:
    scope = {"scope": {"name": names.SCOPE}, "metrics": made}
    resource = {"attributes": pairs({"service.name": service, "service.instance.id": instance})}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}


def counted(metric: names.Metric, at: int, start: int, value: float, **attributes: Any) -> dict[str, Any]:
    """One point of a counter, or of a gauge."""
    point = {
        "timeUnixNano": str(at), "startTimeUnixNano": str(start), "asDouble": value, "attributes": pairs(attributes),
    }  # fmt: skip
    if metric.kind == "gauge":
        return {"name": metric.name, "unit": metric.unit, "gauge": {"dataPoints": [point]}}
    total = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": metric.kind == "counter"}
    return {"name": metric.name, "unit": metric.unit, "sum": total}


def histogram(
    metric: names.Metric, at: int, start: int, values: list[float], trace: str = "", **attributes: Any
) -> dict[str, Any]:
    """One point of a histogram of all `values` since `start`; the last is an exemplar where a trace is given."""
    edges = metric.edges
    counts = [sum(1 for one in values if low < one <= high) for low, high in zip((-1e9, *edges), (*edges, 1e9))]  # noqa: B905
    point: dict[str, Any] = {
        "timeUnixNano": str(at), "startTimeUnixNano": str(start), "count": str(len(values)), "sum": sum(values),
        "explicitBounds": list(edges), "bucketCounts": [str(count) for count in counts],
        "attributes": pairs(attributes),
    }  # fmt: skip
    if trace:
        exemplar = {"asDouble": values[-1], "timeUnixNano": str(at), "traceId": trace, "spanId": "00000000000000aa"}
        point["exemplars"] = [exemplar]
    return {
        "name": metric.name, "unit": metric.unit, "histogram": {"dataPoints": [point], "aggregationTemporality": 2},
    }  # fmt: skip

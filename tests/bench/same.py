# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether two ways of recording sent the same telemetry: their OTLP, decoded and without what differs by nature.

By nature differ ids, times and durations, and what is no request's: the resource, and gauges read at each export.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from otel_tts import names
from tests.integration.otlp_sink import OtlpSink

_PER_EXPORT = {
    names.REQUESTS_ACTIVE.name,
    names.OPEN_AGE.name,
    names.DROPPED.name,
    names.REDACTED.name,
    names.FAULTS.name,
}


def shape(sink: OtlpSink) -> dict[str, Counter[Any]]:
    """Count what arrived, by what it is; under "broken" what does not hang together."""
    spans = {span.span_id: span for span in sink.spans() if span.scope == names.SCOPE}
    found: dict[str, Counter[Any]] = {
        key: Counter() for key in ("spans", "events", "points", "exemplars", "log records", "broken")
    }
    for span in spans.values():
        parent = spans.get(span.parent_id)
        found["spans"][
            (span.name, span.kind, parent.name if parent else span.parent_id, span.status, _values(span.attributes))
        ] += 1
        for event in span.events:
            found["events"][(span.name, event.name, _values(event.attributes))] += 1
            found["broken"]["event outside its span"] += not span.start <= event.time <= span.end
        if parent is not None:
            found["broken"]["span outside its parent"] += not parent.start <= span.start <= span.end <= parent.end
            found["broken"]["span in another trace than its parent"] += parent.trace_id != span.trace_id
    traces = {span.trace_id for span in spans.values()}
    for name in {point.metric for point in sink.points()} - _PER_EXPORT:
        for point in sink.latest(name):
            if not name.startswith("tts."):
                continue
            key = (name, point.kind, point.unit, point.edges, _values(point.attributes))
            found["points"][key] += int(point.count if point.kind == "histogram" else point.value)
            found["exemplars"][key] += bool(point.exemplars)
            found["broken"]["exemplar of an unknown trace"] += any(trace not in traces for trace in point.exemplars)
    for log in sink.logs():
        fields = tuple(word.partition("=")[0] for word in str(log.body).split())
        found["log records"][(log.event_name, log.severity, fields, _values(log.attributes))] += 1
        at = spans.get(log.span_id)
        found["broken"]["log record without its span"] += at is None or at.trace_id != log.trace_id
    return found


def differences(one: dict[str, Counter[Any]], other: dict[str, Counter[Any]]) -> list[str]:
    """Say what only one of them has, and what is broken in either; nothing when they are the same."""
    found = [f"{count} × {what}" for side in (one, other) for what, count in side["broken"].items() if count]
    for kind in one:
        if kind == "broken":
            continue
        for side, more in (("first", one[kind] - other[kind]), ("second", other[kind] - one[kind])):
            found += [f"{kind} only in the {side}: {count} × {what}" for what, count in more.items()]
        if not sum(one[kind].values()):
            found.append(f"no {kind} at all")
    return found


def _values(attributes: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, "…" if k == names.REQUEST_ID else repr(v)) for k, v in attributes.items()))

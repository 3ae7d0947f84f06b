# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What was found as plain values, for `--json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from otel_tts.causes.ask import Found, Overview, Report
from otel_tts.causes.explain import Why
from otel_tts.causes.period import Period
from otel_tts.causes.shared import Shared
from otel_tts.readers.model import LogLine, Span, Synthesis
from otel_tts.views.printable import readable


def report(found: Report) -> dict[str, Any]:
    """A request with its trace, its lines and why."""
    return readable(
        {
            "requests": [_found(one) for one in found.requests],
            "compared_with": period(found.period),
            "gaps": [asdict(gap) for gap in found.gaps],
        }
    )


def overview(found: Overview) -> dict[str, Any]:
    """Requests without their traces, and what the slow and failed ones share."""
    return readable(
        {
            "requests": [synthesis(one) for one in found.requests],
            "why": why(found.why),
            "compared_with": period(found.period),
            "gaps": [asdict(gap) for gap in found.gaps],
        }
    )


def _found(one: Found) -> dict[str, Any]:
    return {
        **synthesis(one.synthesis),
        "why": why(one.why),
        "spans": [span(each) for each in one.spans],
        "lines": [line(each) for each in one.lines],
    }


def synthesis(one: Synthesis) -> dict[str, Any]:
    """One utterance; times are Unix nanoseconds, as text: they are beyond what JavaScript counts."""
    return {
        "request_id": one.request_id,
        "trace_id": one.trace_id,
        "span_id": one.span_id,
        "start_unix_nano": str(one.start),
        "seconds": one.seconds,
        "waited_seconds": one.waited,
        "outcome": one.outcome,
        "stages_seconds": dict(one.stages),
        "devices": list(one.devices),
        "attributes": dict(one.attributes),
        "resource": dict(one.resource),
    }


def why(found: Why) -> dict[str, Any]:
    """The causes, and what was looked at."""
    excess = found.excess
    return {
        "causes": [asdict(cause) for cause in found.causes],
        "excess": None if excess is None else {**asdict(excess), "slow": excess.slow},
        "slow": _shared(found.slow),
        "failed": _shared(found.failed),
        "accounts": dict(found.accounts),
        "stages_excess_seconds": dict(found.stages),
    }


def _shared(found: Shared) -> dict[str, Any]:
    return {
        "requests": found.chosen,
        "of": found.total,
        "values_looked_at": found.looked_at,
        "too_few": found.too_few,
        "named": [
            {
                "name": one.name, "value": one.value, "phi": one.counts.phi, "probability": one.probability,
                "share": one.share, "share_of_others": one.share_of_others, "touches": one.counts.having,
                "seconds": one.seconds, "also": [list(each) for each in one.also],
            }
            for one in found.named
        ],
    }  # fmt: skip


def period(found: Period) -> dict[str, Any]:
    """What was compared with."""
    if not len(found):
        return {"requests": 0, "canaries": found.canaries}
    return {
        "requests": len(found),
        "canaries": found.canaries,
        "since_unix_nano": str(found.since),
        "until_unix_nano": str(found.until),
    }


def span(one: Span) -> dict[str, Any]:
    """One span."""
    return {
        "name": one.name, "span_id": one.span_id, "parent_span_id": one.parent_id, "kind": one.kind,
        "start_unix_nano": str(one.start), "end_unix_nano": str(one.end), "seconds": one.seconds,
        "attributes": dict(one.attributes), "status": one.status, "status_message": one.status_message,
        "events": [
            {"name": each.name, "unix_nano": str(each.time), "attributes": dict(each.attributes)} for each in one.events
        ],
    }  # fmt: skip


def line(one: LogLine) -> dict[str, Any]:
    """One log record."""
    return {
        "unix_nano": str(one.time), "severity": one.severity, "event": one.event_name, "body": one.body,
        "span_id": one.span_id, "trace_id": one.trace_id, "attributes": dict(one.attributes),
    }  # fmt: skip

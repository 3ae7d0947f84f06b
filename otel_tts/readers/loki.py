# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`LogStore` of a Loki (3.0 and later) that got its records over OTLP, over its HTTP API.

It keeps attributes as text under names without dots, a record's and its resource's side by side: they get back the
names and types that `names` has for them. Others keep Loki's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_tts import names
from otel_tts.readers import otlp_json
from otel_tts.readers.filters import Filter
from otel_tts.readers.http import Client
from otel_tts.readers.model import LogLine
from otel_tts.readers.quoted import quoted
from otel_tts.readers.searched_logs import SearchedLogs, is_of_resource, typed
from otel_tts.readers.tempo import kept

PAGE: Final = 1000
"""Records of one answer; Loki's own most is 5000 by default."""

_OF_RESOURCES: Final = (
    "service.name", "service.namespace", "service.instance.id", "service.version", "host.name", "process.pid",
    "deployment.environment.name", "telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version",
    "telemetry.distro.name", "telemetry.distro.version", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name",
    "k8s.node.name", "process.runtime.name", "process.runtime.version",
)  # fmt: skip
_NAMES: Final = {name.replace(".", "_"): name for name in (*(one.key for one in names.ATTRIBUTES), *_OF_RESOURCES)}
_OWN: Final = frozenset(
    {"trace_id", "span_id", "severity_text", "severity_number", "observed_timestamp", "scope_name", "scope_version",
     "event_name", "flags", "detected_level"}
)  # fmt: skip


class Loki(SearchedLogs):
    """`LogStore` at an URL. `keeps_seconds` is how long the store keeps records; without it Loki is asked."""

    longest = 30 * 86400 * 10**9  # what it takes in one question by default

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, keeps_seconds: float | None = None) -> None:
        super().__init__(Client("Loki", url, headers), keeps_seconds)

    def ask_retention(self) -> float | None:
        """Return how many seconds Loki keeps records, as its configuration says; None where it does not."""
        return kept(self._client, "/config", "retention_period")

    def lines(self, wanted: Filter, begin: int, end: int) -> tuple[list[LogLine], bool]:
        """At least all records that meet `wanted`, and whether the store had more. Raises StoreError."""
        params = {"query": logql(wanted), "start": begin, "end": end, "limit": PAGE, "direction": "backward"}
        document = self._client.json("/loki/api/v1/query_range", params)
        try:
            found = list(_lines(document["data"]["result"]))
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None
        return found, len(found) >= PAGE


def logql(wanted: Filter) -> str:
    """LogQL for `wanted`: exact values only, so that nothing in them is a language."""
    service = "=~" + quoted(".+") if wanted.service is None else "=" + quoted(wanted.service)
    asked = {
        names.REQUEST_ID: wanted.request_id,
        "trace_id": wanted.trace_id,
        names.OUTCOME: wanted.outcome,
        names.VOICE: wanted.voice,
        names.ENGINE: wanted.engine,
    }
    conditions = [f" | {key.replace('.', '_')}={quoted(value)}" for key, value in asked.items() if value is not None]
    return f"{{service_name{service}}}{''.join(conditions)}"


def _lines(streams: Any) -> Iterator[LogLine]:
    for stream in streams:
        for time, text, *more in stream["values"]:
            # With some settings what is of one record stands beside it, in one or two maps.
            own = {key: value for one in more for part in _maps(one) for key, value in part.items()}
            yield _as_line(int(time), text, {**stream["stream"], **own})


def _maps(metadata: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    parts: list[Mapping[str, str]] = [value for value in metadata.values() if isinstance(value, dict)]
    yield from parts or [metadata]


def _as_line(time: int, text: str, labels: Mapping[str, str]) -> LogLine:
    named = {_NAMES.get(label, label): value for label, value in labels.items() if label not in _OWN}
    said = {name: typed(name, value) for name, value in named.items()}
    first = text.partition(" ")[0]
    return LogLine(
        time=time,
        severity=labels.get("severity_text", ""),
        body=text,
        event_name=labels.get("event_name") or (first if first in names.LOG_LINES else ""),
        attributes={name: value for name, value in said.items() if not is_of_resource(name)},
        trace_id=labels.get("trace_id", ""),
        span_id=labels.get("span_id", ""),
        scope=labels.get("scope_name", ""),
        resource={name: value for name, value in said.items() if is_of_resource(name)},
    )

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`LogStore` of a VictoriaLogs, over its HTTP API.

It keeps a record's attributes and its resource's side by side, as text: they are parted by their names again, and get
the types that `names` has for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from otel_tts import names
from otel_tts.readers import otlp_json
from otel_tts.readers.filters import Filter
from otel_tts.readers.http import Client, StoreError
from otel_tts.readers.model import LogLine
from otel_tts.readers.quoted import quoted
from otel_tts.readers.searched_logs import SearchedLogs, is_of_resource, typed
from otel_tts.readers.timestamps import nanoseconds, rfc3339

PAGE: Final = 1000
"""Records of one answer."""

_OWN: Final = frozenset(
    {"_time", "_msg", "_stream", "_stream_id", "trace_id", "span_id", "severity_number", "severity_text",
     "event_name", "scope.name", "scope.version", "flags", "dropped_attributes_count"}
)  # fmt: skip
_RETENTION: Final = re.compile(rb'^flag\{name="retentionPeriod", *value="(\d+)([hdwy])"', re.MULTILINE)
_UNITS_S: Final = {b"h": 3600.0, b"d": 86400.0, b"w": 604800.0, b"y": 31536000.0}
_UNSAID: Final = frozenset({"", "Unspecified"})
_NO_BODY: Final = "missing _msg field"


class VictoriaLogs(SearchedLogs):
    """`LogStore` at an URL. `keeps_seconds` is how long the store keeps records; without it the store is asked."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, keeps_seconds: float | None = None) -> None:
        super().__init__(Client("VictoriaLogs", url, headers), keeps_seconds)

    def ask_retention(self) -> float | None:
        """Return how many seconds it keeps records: its own metrics tell its flags."""
        try:
            found = _RETENTION.search(self._client.text("/metrics"))
        except StoreError:
            return None
        return int(found[1]) * _UNITS_S[found[2]] if found else None

    def lines(self, wanted: Filter, begin: int, end: int) -> tuple[list[LogLine], bool]:
        """At least all records that meet `wanted`, and whether the store had more. Raises StoreError."""
        params = {"query": query(wanted), "start": rfc3339(begin), "end": rfc3339(end), "limit": PAGE}
        rows = [row for row in self._client.text("/select/logsql/query", params).split(b"\n") if row.strip()]
        return [self._line(row) for row in rows], len(rows) >= PAGE

    def _line(self, row: bytes) -> LogLine:
        try:
            return _as_line(self._client.parsed(row))
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None


def query(wanted: Filter) -> str:
    """LogsQL for `wanted`: exact values only, so that nothing in them is a language."""
    asked = {
        names.REQUEST_ID: wanted.request_id,
        "trace_id": wanted.trace_id,
        names.OUTCOME: wanted.outcome,
        names.VOICE: wanted.voice,
        names.ENGINE: wanted.engine,
        "service.name": wanted.service,
        "event_name": wanted.event,
    }
    return " ".join(f"{quoted(key)}:={quoted(value)}" for key, value in asked.items() if value is not None) or "*"


def _as_line(fields: dict[str, str]) -> LogLine:
    said = {key: typed(key, text) for key, text in fields.items() if key not in _OWN}
    body = fields.get("_msg", "")
    severity = fields.get("severity_text", "")
    return LogLine(
        time=nanoseconds(fields["_time"]),
        severity="" if severity in _UNSAID else severity,
        body=None if body.startswith(_NO_BODY) else body,
        event_name=fields.get("event_name", ""),
        attributes={key: value for key, value in said.items() if not is_of_resource(key)},
        trace_id=fields.get("trace_id", ""),
        span_id=fields.get("span_id", ""),
        scope=fields.get("scope.name", ""),
        resource={key: value for key, value in said.items() if is_of_resource(key)},
    )

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`TraceStore` of a Tempo (2.7 and later), over its HTTP API: TraceQL to find ids, then each trace by its id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_tts import names
from otel_tts.readers import otlp_json
from otel_tts.readers.filters import Filter
from otel_tts.readers.http import Client, StoreError
from otel_tts.readers.model import Gap, OnGap, Span
from otel_tts.readers.quoted import quoted
from otel_tts.readers.searched import SearchedTraces, trace_ids

PAGE: Final = 2000
"""Traces of one answer: many, since all that overlap one second have to fit."""


class Tempo(SearchedTraces):
    """`TraceStore` at an URL. `keeps_seconds` is how long the store keeps traces; without it Tempo is asked."""

    smallest = 10**9  # it counts in seconds
    longest = (7 * 86400 - 2) * smallest  # with both ends rounded outwards what it takes in one search by default

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, keeps_seconds: float | None = None) -> None:
        super().__init__(Client("Tempo", url, headers), keeps_seconds)

    def ask_retention(self) -> float | None:
        """Return how many seconds Tempo keeps traces, as its configuration says; None where it does not."""
        return kept(self._client, "/status/config", "block_retention")

    def trace(self, trace_id: str, on_gap: OnGap) -> list[Span]:
        """All spans of a trace, none where there is no such trace. Raises StoreError."""
        try:
            document = self._client.json(f"/api/v2/traces/{trace_id}")
        except StoreError as error:
            if error.is_none_there:
                return []
            raise
        try:
            if document.get("status") == "PARTIAL":
                on_gap(Gap("limit", f"{self} has only a part of trace {trace_id}: {document.get('message', '')}"))
            return [span for span in otlp_json.spans(document["trace"]) if span.trace_id == trace_id]
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None

    def candidates(self, wanted: Filter, begin: int, end: int, on_gap: OnGap) -> tuple[Iterable[list[Span]], bool]:
        """Whole traces, each once, with at least all that meet `wanted`; whether there are more. Raises StoreError."""
        params: dict[str, Any] = {
            "q": traceql(wanted), "limit": PAGE, "spss": 1, "start": begin // 10**9, "end": -(-end // 10**9),
        }  # fmt: skip
        try:
            ids = trace_ids(self._client.json("/api/search", params).get("traces") or [])
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None
        return self.each(ids, on_gap), len(ids) >= PAGE


def traceql(wanted: Filter) -> str:
    """TraceQL for `wanted`, as far as it can be asked of one span; a list of anomalies cannot."""
    if wanted.request_id is None:
        conditions = [f"span.{names.OPERATION_NAME} = {quoted(names.OPERATION)}"]
    else:
        conditions = [f"span.{names.REQUEST_ID} = {quoted(wanted.request_id)}"]  # also of requests without a synthesis
    asked = {
        f"span.{names.OUTCOME}": wanted.outcome,
        f"span.{names.VOICE}": wanted.voice,
        f"span.{names.ENGINE}": wanted.engine,
        "resource.service.name": wanted.service,
    }
    conditions += [f"{field} = {quoted(value)}" for field, value in asked.items() if value is not None]
    if wanted.least_seconds and wanted.stage is None:
        conditions.append(f"duration >= {int(wanted.least_seconds * 1e9)}ns")
    query = f"{{ {' && '.join(conditions)} }}"
    if wanted.stage is not None and wanted.stage != names.Stage.QUEUE:
        query += f" && {{ span.{names.STAGE} = {quoted(wanted.stage)} }}"
    return query


def kept(client: Client, path: str, key: str) -> float | None:
    """Seconds that a configuration page of Go's durations has for `key`; None where it does not say, or says 0."""
    try:
        page = client.text(path).decode("utf-8", "replace")
    except StoreError:
        return None
    found = re.search(rf"^\s*{key}:\s*((?:\d+[hms])+)\s*$", page, re.MULTILINE)
    parts = re.findall(r"(\d+)([hms])", found[1]) if found else []
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts) or None

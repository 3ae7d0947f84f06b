# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`TraceStore` of a Jaeger (2, or 1.76 and later), over its HTTP APIs.

`/api/traces` searches by attributes, but tells times in microseconds only; `/api/v3/traces` tells nanoseconds, but
leaves attributes in a search aside. So what the first finds is read again by the second. What Jaeger finds is a guess:
its index joins keys and values, and several conditions may be met by several spans.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from otel_tts import names
from otel_tts.readers import otlp_json
from otel_tts.readers.filters import Filter
from otel_tts.readers.http import Client, StoreError
from otel_tts.readers.model import OnGap, Span
from otel_tts.readers.searched import SearchedTraces, trace_ids
from otel_tts.readers.timestamps import rfc3339

PAGE: Final = 100
"""Traces of a service in one answer: as many as Jaeger says where it does not know the parameter's name."""

_LISTS: Final = frozenset(one.key for one in names.ATTRIBUTES if one.type == "string[]")


class Jaeger(SearchedTraces):
    """`TraceStore` at an URL. `keeps_seconds` is how long the store keeps traces, where that is known."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, keeps_seconds: float | None = None) -> None:
        super().__init__(Client("Jaeger", url, headers), keeps_seconds)

    def trace(self, trace_id: str, on_gap: OnGap) -> list[Span]:
        """All spans of a trace, none where there is no such trace. Raises StoreError."""
        return self._spans(f"/api/v3/traces/{trace_id}", {}).get(trace_id, [])

    def candidates(self, wanted: Filter, begin: int, end: int, on_gap: OnGap) -> tuple[Iterable[list[Span]], bool]:
        """Whole traces, each once, with at least all that meet `wanted`; whether there are more. Raises StoreError."""
        tags = _tags(wanted)
        services = [wanted.service] if wanted.service is not None else self._services()
        if tags or wanted.least_seconds is not None:
            ids = [self._search(service, tags, wanted, begin, end) for service in services]
            each_once = dict.fromkeys(one for some in ids for one in some)
            return self.each(each_once, on_gap), any(len(some) >= PAGE for some in ids)
        pages = [self._period(service, begin, end) for service in services]
        found = {trace_id: spans for page in pages for trace_id, spans in page.items()}
        return found.values(), any(len(page) >= PAGE for page in pages)

    def _services(self) -> list[str]:
        return [str(one) for one in self._data("/api/services", {}) if one]

    def _search(self, service: str, tags: dict[str, str], wanted: Filter, begin: int, end: int) -> list[str]:
        """The ids of traces that have what is asked for somewhere."""
        params: dict[str, Any] = {
            "service": service, "limit": PAGE, "start": begin // 1000, "end": (end - 1) // 1000,
            "tags": json.dumps(tags) if tags else None,
        }  # fmt: skip
        if wanted.least_seconds and wanted.stage is None:
            params["minDuration"] = f"{int(wanted.least_seconds * 1e6)}us"
        try:
            return trace_ids(self._data("/api/traces", params))
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None

    def _data(self, path: str, params: Mapping[str, Any]) -> list[Any]:
        document = self._client.json(path, params)
        try:
            return list(document["data"] or ())
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None

    def _period(self, service: str, begin: int, end: int) -> dict[str, list[Span]]:
        """The traces of a service in a period."""
        params = {
            "query.service_name": service, "query.num_traces": PAGE, "query.search_depth": PAGE,
            "query.start_time_min": rfc3339(begin), "query.start_time_max": rfc3339(end - 1),
        }  # fmt: skip
        return self._spans("/api/v3/traces", params)

    def _spans(self, path: str, params: Mapping[str, Any]) -> dict[str, list[Span]]:
        """The spans of an answer by trace; none where Jaeger has no such trace."""
        try:
            document = self._client.json(path, params)
        except StoreError as error:
            if error.is_none_there:
                return {}
            raise
        found: dict[str, list[Span]] = {}
        try:
            for span in otlp_json.spans(document["result"]):
                found.setdefault(span.trace_id, []).append(_with_lists(span))
        except otlp_json.BROKEN as error:
            raise self._client.strange(error) from None
        return found


def _tags(wanted: Filter) -> dict[str, str]:
    """What Jaeger can look for: attributes that have exactly one value. All are of some span of the trace."""
    asked = {
        names.REQUEST_ID: wanted.request_id,
        names.OUTCOME: wanted.outcome,
        names.VOICE: wanted.voice,
        names.ENGINE: wanted.engine,
        names.STAGE: wanted.stage if wanted.stage != names.Stage.QUEUE else None,
    }
    return {key: value for key, value in asked.items() if value is not None}


def _with_lists(span: Span) -> Span:
    """Jaeger keeps a list as its JSON."""
    texts = [key for key in _LISTS & span.attributes.keys() if isinstance(span.attributes[key], str)]
    if not texts:
        return span
    return replace(span, attributes={**span.attributes, **{key: _parsed(span.attributes[key]) for key in texts}})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

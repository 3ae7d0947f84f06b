# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One line of log records, apart by the records' own day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, cast

from otel_tts.readers.day_files import utc_day
from otel_tts.readers.otlp_json import BROKEN


class NotRecords(ValueError):
    """The line is none of log records."""


def split(line: bytes, undated: date) -> dict[date, bytes]:
    """The line for each day that it has records of; as it is where that is one. Records without a time are `undated`.

    Raises NotRecords.
    """
    try:
        document = json.loads(line)
        groups: list[Any] = document["resourceLogs"]
        days = {_day(record, undated) for group in groups for scope in _scopes(group) for record in _records(scope)}
        if len(days) <= 1:
            return dict.fromkeys(days, line)
        return {day: _encoded(document, groups, day, undated) for day in days}
    except BROKEN:
        raise NotRecords from None


def _encoded(document: Any, groups: list[Any], day: date, undated: date) -> bytes:
    """The records of a day, with what stands around them."""
    kept: list[Any] = []
    for group in groups:
        scopes = [
            {**scope, "logRecords": records}
            for scope in _scopes(group)
            if (records := [one for one in _records(scope) if _day(one, undated) == day])
        ]
        if scopes:
            kept.append({**group, "scopeLogs": scopes})
    return json.dumps({**document, "resourceLogs": kept}, ensure_ascii=False, separators=(",", ":")).encode()


def _scopes(group: Any) -> list[Mapping[str, Any]]:
    return cast(list[Mapping[str, Any]], group.get("scopeLogs", []))


def _records(scope: Mapping[str, Any]) -> list[Any]:
    return scope.get("logRecords", [])


def _day(record: Any, undated: date) -> date:
    time = int(record.get("timeUnixNano") or 0) or int(record.get("observedTimeUnixNano") or 0)
    return utc_day(time) if time > 0 else undated

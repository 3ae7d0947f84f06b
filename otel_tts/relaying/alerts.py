# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What Alertmanager's web hook brings (version 4): a group of alerts, those that fire and those that are over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final, cast

MOST: Final = 50
"""Alerts of a group that are kept; the others are counted."""

_LONGEST: Final = 1024
_ANNOTATIONS: Final = ("summary", "summary_zh", "board", "runbook")


class WrongPayload(ValueError):
    """It is not what Alertmanager sends; the message says where, and repeats nothing of it."""


@dataclass(frozen=True)
class Alert:
    """One alert; times are Unix nanoseconds, `ends` is 0 while it fires."""

    name: str
    severity: str
    annotations: Mapping[str, str]
    starts: int
    ends: int


@dataclass(frozen=True)
class Group:
    """The alerts of one group that fire, or those that are over. `service` is empty where they share none.

    `more` alerts are not among `alerts`: too many came, or Alertmanager left them out itself.
    """

    firing: bool
    service: str
    alerts: tuple[Alert, ...]
    more: int = 0


def parse(body: bytes) -> list[Group]:
    """The group apart by firing and over, in this order. Raises WrongPayload."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongPayload("it is no JSON") from None
    document = _mapping(document, "the document")
    if document.get("version") != "4":
        raise WrongPayload("version is not 4")
    given = document.get("alerts")
    if not isinstance(given, list) or not given:
        raise WrongPayload("alerts is no list with alerts in it")
    alerts = [_mapping(one, "an alert") for one in cast(list[Any], given)]
    service = _texts(document.get("commonLabels"), "commonLabels").get("service_name", "")
    truncated = document.get("truncatedAlerts", 0)
    if not isinstance(truncated, int) or truncated < 0:
        raise WrongPayload("truncatedAlerts is no number")
    groups: list[Group] = []
    for status in ("firing", "resolved"):
        these = [_alert(one) for one in alerts if one.get("status") == status]
        if these:
            left = max(0, len(these) - MOST) + (0 if groups else truncated)
            groups.append(Group(status == "firing", service, tuple(these[:MOST]), left))
    if sum(one.get("status") in ("firing", "resolved") for one in alerts) != len(alerts):
        raise WrongPayload("an alert's status is neither firing nor resolved")
    return groups


def _alert(one: Mapping[str, Any]) -> Alert:
    labels = _texts(one.get("labels"), "labels")
    annotations = _texts(one.get("annotations", {}), "annotations")
    if not labels.get("alertname"):
        raise WrongPayload("an alert has no alertname")
    return Alert(
        labels["alertname"],
        labels.get("severity", ""),
        {key: annotations[key] for key in _ANNOTATIONS if annotations.get(key)},
        _time(one.get("startsAt"), "startsAt"),
        _time(one.get("endsAt"), "endsAt") if one.get("status") == "resolved" else 0,
    )


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise WrongPayload(f"{what} is no object")
    return cast(Mapping[str, Any], value)


def _texts(value: Any, what: str) -> dict[str, str]:
    found = _mapping(value, what)
    if not all(isinstance(one, str) for one in found.values()):
        raise WrongPayload(f"{what} has something else than text in it")
    return {key: str(text)[:_LONGEST] for key, text in found.items()}


def _time(value: Any, what: str) -> int:
    """Unix nanoseconds of Go's RFC 3339; 0 for its year 1, which stands for no time."""
    parts = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", str(value))
    if parts is None:
        raise WrongPayload(f"{what} is no time")
    try:
        at = datetime.fromisoformat(parts[1] + parts[3].replace("Z", "+00:00"))
    except ValueError:
        raise WrongPayload(f"{what} is no time") from None
    if at.year < 1970:
        return 0
    whole = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()
    return int(whole) * 10**9 + int((parts[2] or "0").ljust(9, "0"))

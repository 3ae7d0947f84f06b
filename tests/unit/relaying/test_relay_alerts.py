# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What comes in is Alertmanager's, or is said not to be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_tts.relaying.alerts import MOST, WrongPayload, parse
from tests.support.alerting import CANARY, alert, payload


def test_what_fires_and_what_is_over_are_apart() -> None:
    firing, over = parse(payload(alert("A"), alert("B", "resolved"), alert("C")))
    assert firing.firing and [one.name for one in firing.alerts] == ["A", "C"]
    assert not over.firing and [one.name for one in over.alerts] == ["B"]
    assert firing.service == over.service == "tts"
    assert firing.alerts[0].ends == 0 < over.alerts[0].ends
    assert firing.alerts[0].annotations["summary"] == "7 % fail"


def test_more_than_can_be_told_are_counted() -> None:
    (group,) = parse(payload(*[alert()] * (MOST + 3), truncatedAlerts=4))
    assert len(group.alerts) == MOST and group.more == 7


@pytest.mark.parametrize(
    ("startsAt", "nanoseconds"),
    [
        ("2026-11-30T05:00:00Z", 1796014800 * 10**9),
        ("2026-11-30T05:00:00.123456789Z", 1796014800123456789),
        ("2026-11-30T13:00:00.5+08:00", 1796014800500000000),
        ("0001-01-01T00:00:00Z", 0),
    ],
)
def test_times_are_gos(startsAt: str, nanoseconds: int) -> None:
    (group,) = parse(payload({**alert(), "startsAt": startsAt}))
    assert group.alerts[0].starts == nanoseconds


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[" * 100_000, b"[]", b"{}", b'{"version":"4"}', b"\xff",
        payload(), payload(alert(), version="3"), payload(alert(), alerts="x"), payload(alert(), alerts=[1]),
        payload(alert(), commonLabels=[CANARY]), payload(alert(), commonLabels={"a": {"b": CANARY}}),
        payload(alert(), truncatedAlerts=CANARY), payload({**alert(), "status": CANARY}),
        payload({**alert(), "startsAt": CANARY}), payload({**alert(), "startsAt": "2026-13-30T05:00:00Z"}),
        payload({**alert(), "labels": {}}), payload({**alert(), "annotations": {"summary": [CANARY]}}),
    ],
)  # fmt: skip
def test_what_is_none_is_said_without_repeating_it(body: bytes) -> None:
    with pytest.raises(WrongPayload) as raised:
        parse(body)
    assert str(raised.value) and CANARY not in str(raised.value)


def test_what_is_unknown_is_no_fault() -> None:
    document: dict[str, Any] = json.loads(payload(alert()))
    del document["truncatedAlerts"]
    document["new"] = {"x": 1}
    (group,) = parse(json.dumps(document).encode())
    assert group.alerts[0].severity == "critical"

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What late spans rely on in the SDK's ended ones, and what happens where it is gone."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from otel_tts.otel_private import ended
from otel_tts.otel_private.ended import READ_THROUGH, WholeSpan

GIVEN = {
    "name": "s", "context": SpanContext(1, 2, False), "parent": SpanContext(1, 3, True), "resource": Resource({}),
    "attributes": {"a": 1}, "events": (), "links": (), "start_time": 1, "end_time": 2,
}  # fmt: skip


def test_each_part_is_where_the_sdk_keeps_it() -> None:
    parts = vars(ReadableSpan(**GIVEN))
    assert set(WholeSpan.__slots__) == set(parts), "the SDK keeps other parts by now"
    late = WholeSpan(**GIVEN)
    assert {slot: getattr(late, slot) for slot in WholeSpan.__slots__} == {
        slot: parts[slot] for slot in WholeSpan.__slots__
    }


@pytest.mark.parametrize("slot", sorted(set(WholeSpan.__slots__) - READ_THROUGH))
def test_the_sdks_property_returns_what_is_in_the_slot(slot: str) -> None:
    ordinary = ReadableSpan(**GIVEN)
    assert getattr(ordinary, slot[1:]) is getattr(ordinary, slot)
    assert vars(WholeSpan)[slot[1:]] is vars(WholeSpan)[slot]


def test_where_a_name_is_gone_the_sdks_property_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ReadableSpan):
        __slots__ = ("_kept", "_name")

    kept: Any = property(lambda span: "the property's")
    monkeypatch.setattr(ReadableSpan, "kept", kept, raising=False)
    ended._read_directly(Other, Other.__slots__)
    other: Any = Other("s", resource=Resource({}))
    assert (other.name, other.kept) == ("s", "the property's")
    assert "name" in vars(Other) and "kept" not in vars(Other)

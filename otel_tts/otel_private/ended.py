# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private names under which the SDK's ended spans keep their parts, made slots that are read without a call.

The SDK's spans answer each question with a property, and gate and encoder ask two dozen of each span.
tests/unit/otel_private/test_ended.py pins what stands behind them. Where one is gone, the SDK's property answers.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan


class WholeSpan(ReadableSpan):
    """A span of which nothing was dropped: the SDK asks what kind each of its collections is, to count what was."""

    __slots__ = (
        "_attributes", "_context", "_end_time", "_events", "_instrumentation_info", "_instrumentation_scope", "_kind",
        "_links", "_name", "_parent", "_resource", "_start_time", "_status",
    )  # fmt: skip
    dropped_attributes = dropped_events = dropped_links = 0  # pyright: ignore


class WholeEvent(Event):
    """An event of which nothing was dropped."""

    dropped_attributes = 0  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]


READ_THROUGH: Final = frozenset({"_attributes", "_instrumentation_info"})
"""The SDK shows a view of the one, which nobody can write to, and warns of the other."""


def _read_directly(kind: type[ReadableSpan], slots: tuple[str, ...]) -> None:
    """Let the public name of each part be its slot."""
    parts: dict[str, Any] = vars(ReadableSpan("", resource=Resource({})))
    for slot in slots:
        if slot in parts and slot not in READ_THROUGH:
            setattr(kind, slot[1:], getattr(kind, slot))


_read_directly(WholeSpan, WholeSpan.__slots__)

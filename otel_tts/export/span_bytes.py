# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The SDK's ended spans as an ExportTraceServiceRequest."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from otel_tts.export.origin import Origins
from otel_tts.export.wire import LONGEST, Attributes, Memory, count, each, field, fixed32, moment, text

_HAS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_LOW_64: Final = 2**64 - 1
_ids: Final = struct.Struct(">2sQQ2sQ").pack
_parent: Final = struct.Struct(">2sQ").pack
_times: Final = struct.Struct("<BQBQ").pack
_time: Final = struct.Struct("<BQ").pack
_LOCAL_PARENT: Final = b"\x85\x01" + fixed32(_HAS_REMOTE)
_REMOTE_PARENT: Final = b"\x85\x01" + fixed32(_HAS_REMOTE | _IS_REMOTE)


class SpanEncoder:
    """Encodes batches of one exporter."""

    def __init__(self) -> None:
        self._origins = Origins()
        self._attributes, self._event_attributes = Attributes(b"\x4a"), Attributes(b"\x1a")
        self._link_attributes = Attributes(b"\x22")
        self._heads, self._event_names = Memory(), Memory()
        self._status: tuple[Any, bytes] = (None, b"")
        """The last span's, and its bytes: as a rule it is one object for all."""

    def encode(self, spans: Sequence[Any]) -> tuple[bytes, int]:
        """Return the request's bytes, and how many of `spans` are in it."""
        found = each(spans, self._span, "span")
        return self._origins.wrap_items((s.resource, s.instrumentation_scope or None, encoded) for s, encoded in found)

    def _span(self, span: Any) -> bytes:
        context, parent, start, end, status = span.context, span.parent, span.start_time, span.end_time, span.status
        out = [_ids(b"\x0a\x10", context[0] >> 64, context[0] & _LOW_64, b"\x12\x08", context[1])]
        add = out.append
        if context[4]:
            add(text(b"\x1a", _trace_state(context[4])))
        if parent is not None:
            add(_parent(b"\x22\x08", parent[1]))
        head = (span.name, span.kind._value_)
        add(self._heads.young.get(head) or self._head(head))
        add(_times(0x39, start, 0x41, end) if start and end else moment(b"\x39", start) + moment(b"\x41", end))
        self._attributes.add(span.attributes, out)
        if dropped := span.dropped_attributes:
            add(count(b"\x50", dropped))
        for event in span.events:
            add(self._event(event))
        if dropped := span.dropped_events:
            add(count(b"\x60", dropped))
        for link in span.links:
            add(self._link(link))
        if dropped := span.dropped_links:
            add(count(b"\x70", dropped))
        if status is not self._status[0]:
            self._status = status, _status(status)
        add(self._status[1])
        add(_REMOTE_PARENT if parent is not None and parent[2] else _LOCAL_PARENT)
        return field(b"\x12", b"".join(out))

    def _head(self, head: tuple[str, int]) -> bytes:
        """Return a span's name and kind."""
        name, kind = head
        known = self._heads.revive(head) or text(b"\x2a", name) + b"\x30" + bytes((kind + 1,))
        return self._heads.keep(head, known) if len(name) <= LONGEST else known

    def _event(self, event: Any) -> bytes:
        name, stamp = event.name, event.timestamp
        known = self._event_names.young.get(name) or self._event_name(name)
        parts = [_time(0x09, stamp) if stamp else b"", known]
        self._event_attributes.add(event.attributes, parts)
        parts.append(count(b"\x20", event.dropped_attributes))
        return field(b"\x5a", b"".join(parts))

    def _event_name(self, name: str) -> bytes:
        known = self._event_names.revive(name) or text(b"\x12", name)
        return self._event_names.keep(name, known) if len(name) <= LONGEST else known

    def _link(self, link: Any) -> bytes:
        context = link.context
        flags = _HAS_REMOTE | (_IS_REMOTE if context.is_remote else 0)
        parts = [b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big")]
        self._link_attributes.add(link.attributes, parts)
        parts += (count(b"\x28", link.dropped_attributes), b"\x35", fixed32(flags))
        return field(b"\x6a", b"".join(parts))


def _trace_state(state: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in state.items())


def _status(given: Any) -> bytes:
    if given is None:
        return b""
    code: int = given.status_code._value_
    said: str | None = given.description
    return field(b"\x7a", text(b"\x12", said) + count(b"\x18", code)) if said else _STATUSES[code]


_STATUSES: Final[tuple[bytes, ...]] = tuple(field(b"\x7a", count(b"\x18", code)) for code in range(3))

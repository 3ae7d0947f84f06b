# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The SDK's ended spans as an ExportTraceServiceRequest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from otel_tts.export.origin import Origins
from otel_tts.export.wire import LONGEST, Attributes, Memory, count, each, field, fixed32, moment, text

_HAS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_LOCAL_PARENT: Final = b"\x85\x01" + fixed32(_HAS_REMOTE)
_REMOTE_PARENT: Final = b"\x85\x01" + fixed32(_HAS_REMOTE | _IS_REMOTE)


class SpanEncoder:
    """Encodes batches of one exporter."""

    def __init__(self) -> None:
        self._origins = Origins()
        self._attributes, self._event_attributes = Attributes(b"\x4a"), Attributes(b"\x1a")
        self._link_attributes = Attributes(b"\x22")
        self._heads, self._event_names = Memory(), Memory()

    def encode(self, spans: Sequence[Any]) -> tuple[bytes, int]:
        """Return the request's bytes, and how many of `spans` are in it."""
        items = [(s.resource, s.instrumentation_scope or None, found) for s, found in each(spans, self._span, "span")]
        return self._origins.wrap(self._origins.grouped(items)), len(items)

    def _span(self, span: Any) -> bytes:
        context, parent = span.context, span.parent
        out = [b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big")]
        if context.trace_state:
            out.append(text(b"\x1a", _trace_state(context.trace_state)))
        if parent is not None:
            out += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
        out += (
            self._head(span.name, span.kind.value + 1),
            moment(b"\x39", span.start_time), moment(b"\x41", span.end_time),
        )  # fmt: skip
        self._attributes.add(span.attributes, out)
        out.append(count(b"\x50", span.dropped_attributes))
        for event in span.events:
            out.append(self._event(event))
        out.append(count(b"\x60", span.dropped_events))
        out += map(self._link, span.links)
        out.append(count(b"\x70", span.dropped_links))
        out += (_status(span.status), _REMOTE_PARENT if parent is not None and parent.is_remote else _LOCAL_PARENT)
        return field(b"\x12", b"".join(out))

    def _head(self, name: str, kind: int) -> bytes:
        key = (name, kind)
        known = self._heads.get(key)
        if known is None:
            known = text(b"\x2a", name) + b"\x30" + bytes((kind,))
            if len(name) <= LONGEST:
                self._heads.keep(key, known)
        return known

    def _event(self, event: Any) -> bytes:
        name: str = event.name
        known = self._event_names.get(name)
        if known is None:
            known = text(b"\x12", name)
            if len(name) <= LONGEST:
                self._event_names.keep(name, known)
        parts = [moment(b"\x09", event.timestamp), known]
        self._event_attributes.add(event.attributes, parts)
        parts.append(count(b"\x20", event.dropped_attributes))
        return field(b"\x5a", b"".join(parts))

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
    code, said = given.status_code.value, given.description
    return field(b"\x7a", text(b"\x12", said) + count(b"\x18", code))

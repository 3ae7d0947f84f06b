# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The SDK's log records as an ExportLogsServiceRequest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from otel_tts.export.origin import Origins
from otel_tts.export.wire import Attributes, any_value, count, each, field, fixed32, moment, text

_logger = logging.getLogger("otel_tts.export")


class LogEncoder:
    """Encodes batches of one exporter."""

    def __init__(self) -> None:
        self._origins, self._attributes = Origins(), Attributes(b"\x32")

    def encode(self, batch: Sequence[Any]) -> tuple[bytes, int]:
        """Return the request's bytes, and how many of `batch` are in it."""
        found = each(batch, self._record, "log record")
        return self._origins.wrap_items((s.resource, s.instrumentation_scope or None, encoded) for s, encoded in found)

    def _record(self, readable: Any) -> bytes:
        line = readable.log_record
        out = [moment(b"\x09", line.timestamp)]
        if line.severity_number is not None and line.severity_number.value:
            out.append(b"\x10" + bytes((line.severity_number.value,)))
        out += (text(b"\x1a", line.severity_text), _body(line.body))
        self._attributes.add(line.attributes, out)
        out.append(count(b"\x38", readable.dropped_attributes))
        if flags := int(line.trace_flags or 0):
            out += (b"\x45", fixed32(flags))
        if line.trace_id:
            out += (b"\x4a\x10", line.trace_id.to_bytes(16, "big"))
        if line.span_id:
            out += (b"\x52\x08", line.span_id.to_bytes(8, "big"))
        out += (moment(b"\x59", line.observed_timestamp), text(b"\x62", line.event_name))
        return field(b"\x12", b"".join(out))


def _body(body: Any) -> bytes:
    try:
        return field(b"\x2a", any_value(body))
    except Exception as error:
        _logger.error("otel-tts: the body of a log record cannot be encoded (%s)", type(error).__name__)
        return b""

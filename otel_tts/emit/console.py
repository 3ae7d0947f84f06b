# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's lines on stderr: logfmt or one JSON object a line, for whoever collects logs from there."""

from __future__ import annotations

import datetime
import json
import sys
from typing import Any

from opentelemetry.trace import SpanContext


class Console:
    """Writes to stderr as it is at that moment; a closed stderr is no error."""

    def __init__(self, form: str) -> None:
        self._form = form
        self.speaks = form != "none"

    def write(
        self, event: str, level: str, stamp: int, body: str, fields: dict[str, Any], span: SpanContext
    ) -> None:  # fmt: skip
        """Write one line: `stamp` is ns since the epoch, `body` its logfmt, `fields` the same as values."""
        if not self.speaks or sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
            return
        seconds, rest = divmod(stamp, 1_000_000_000)
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        at = f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
        ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        if self._form == "json":
            line = json.dumps(
                {"time": at, "level": level, "event": event, **fields, **ids}, ensure_ascii=False, default=str
            )
        else:
            line = f"{at} {level} {body} trace_id={ids['trace_id']} span_id={ids['span_id']}"
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # closed, or the reader is gone: the OTLP record still leaves
            pass

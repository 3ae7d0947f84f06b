# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a process that spoke left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFERENCE = "purpleotter-reference.wav"


@dataclass(frozen=True)
class Run:
    """What one process said of itself, where its audio is, and what it exported."""

    seen: dict[str, Any]
    out: Path
    stderr: str
    spans: list[Any] = field(default_factory=list[Any])
    raw: bytes = b""

    def requests(self) -> list[Any]:
        """The syntheses, in the order of their start: plain, streamed, as an array."""
        found = [span for span in self.spans if "tts.outcome" in span.attributes]
        return sorted(found, key=lambda span: span.start)

    def stages(self, request: Any) -> list[Any]:
        found = [span for span in self.spans if span.trace_id == request.trace_id and "tts.stage" in span.attributes]
        return sorted(found, key=lambda span: span.start)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-made spans, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from otel_tts.readers.model import Span


def make(name: str, start: float, end: float, parent: str = "", trace: str = "t1", **more: Any) -> Span:
    fields: dict[str, Any] = {
        "trace_id": trace, "span_id": name, "parent_id": parent, "name": name, "kind": "internal",
        "start": int(start * 1e6), "end": int(end * 1e6), "attributes": {}, "events": (), "status": "unset",
        "status_message": "", "scope": "otel_tts", "resource": {},
    }  # fmt: skip
    return Span(**(fields | more))


@pytest.fixture
def span() -> Callable[..., Span]:
    """`span("name", start, end, parent="name", kind=…, attributes=…)`: the name is its id too."""
    return make


@pytest.fixture
def request_spans() -> list[Span]:
    """A request of 100 ms that went well, in the order in which spans end."""
    synthesis = {
        "request_id": "r1", "gen_ai.operation.name": "text_to_speech", "tts.outcome": "ok", "tts.audio.duration": 2.0,
        "tts.real_time_factor": 0.04, "tts.time_to_first_audio": 0.09, "tts.cold_start": True,
    }  # fmt: skip
    server = {"request_id": "r1", "http.response.status_code": 200}
    return [
        make("tts.text_frontend", 10, 20, "text_to_speech", attributes={"tts.stage": "text_frontend"}),
        make("tts.acoustic_model", 20, 60, "text_to_speech", attributes={"tts.stage": "acoustic_model"}),
        make("tts.vocoder", 60, 90, "text_to_speech", attributes={"tts.stage": "vocoder", "tts.stage.segments": 2}),
        make("text_to_speech", 10, 90, "POST", attributes=synthesis),
        make("POST", 0, 100, "caller", kind="server", attributes=server),
    ]

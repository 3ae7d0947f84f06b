# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The Collector's second line: what was said is in no file of any store, even when a sender sends it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sending import sender, trace_id

if TYPE_CHECKING:
    from conftest import Backends

FOLDERS = ("tempo", "loki", "prometheus", "archive")


def files_with(state: Path, text: str) -> set[str]:
    """The folders of the state folder in which some file holds this text."""
    found: set[str] = set()
    for folder, _, files in os.walk(state):  # passes over what a server puts away meanwhile; rglob raises
        for path in (Path(folder, file) for file in files):
            try:
                if path.is_file() and text.encode() in path.read_bytes():
                    found.add(path.relative_to(state).parts[0])
            except FileNotFoundError:
                continue
    return found


def test_what_was_said_is_in_no_file(stack: Backends, eventually: Callable[..., Any]) -> None:
    # Letters that no compression has seen before, so that they are stored as they are.
    canary, marker = uuid.uuid4().hex, uuid.uuid4().hex
    said = {
        "url.query": f"text={canary}",
        "url.full": f"https://tts.example/speak?text={canary}",
        "http.target": f"/speak?text={canary}",
        "gen_ai.input.messages": canary,
        "tts.text": canary,
        "http.request.header.cookie": canary,
    }
    service = f"privacy-{uuid.uuid4().hex[:8]}"
    with sender(stack.otlp_http, service) as to:
        with to.tracer.start_as_current_span("POST /speak", attributes={**said, "kept": marker}) as span:
            span.add_event("gen_ai.prompt", {"gen_ai.prompt": canary})
            to.logger.emit(body="REQ_START", attributes={"text": canary, "tts.text": canary, "kept": marker})
            to.logger.emit(body="from someone@example.com about 13912345678")
            to.meter.create_counter("tts.requests").add(1, {"tts.text": canary, "kept": marker})
        to.flush()

    # So that looking for the canary means something: its neighbour is there, in a file of every store.
    assert eventually(lambda: set(FOLDERS) - files_with(stack.state, marker) == set())
    assert files_with(stack.state, canary) == set()

    (stored,) = eventually(lambda: stack.search(f'{{ span.kept = "{marker}" }}'))
    assert stored == trace_id(span)
    text = str(stack.trace(stored))
    assert "https://tts.example/speak" in text
    assert canary not in text

    bodies = {line for _, line in eventually(lambda: stack.logs(f'{{service_name="{service}"}}'))}
    assert bodies == {"REQ_START", "from **** about ****"}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What was said is in no file of any store, even when a sender sends it; test_collector_privacy.py has each place."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from leaving import attributes, logs, metrics, span, traces
from sending import sender, trace_id

if TYPE_CHECKING:
    from conftest import Backends

FOLDERS = ("jaeger", "victorialogs", "prometheus", "archive")


def files_with(state: Path, text: str) -> set[str]:
    """The folders of the state folder in which some file holds this text."""
    found: set[str] = set()
    for folder, _, files in os.walk(state):  # passes over what a server puts away meanwhile; rglob raises
        for path in (Path(folder, file) for file in files):
            try:
                if path.is_file() and holds(path, text.encode()):
                    found.add(path.relative_to(state).parts[0])
            except FileNotFoundError:
                continue
    return found


def holds(path: Path, needle: bytes) -> bool:
    """Whether a file holds these bytes; read in blocks, since badger's files are two sparse gigabytes."""
    kept = b""
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            if needle in kept + block:
                return True
            kept = block[-len(needle) :]
    return False


def test_what_was_said_is_in_no_file(stack: Backends, eventually: Callable[..., Any]) -> None:
    # Letters that no compression has seen before, so that they are stored as they are.
    canary, on_a_link, marker = (uuid.uuid4().hex for _ in range(3))
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
        with to.tracer.start_as_current_span("POST /speak", attributes={**said, "kept": marker}) as kept:
            kept.add_event("gen_ai.prompt", {"gen_ai.prompt": canary})
            to.tracer.start_span("without events", attributes=said).end()
            to.logger.emit(body="REQ_START", attributes={"text": canary, "tts.text": canary, "kept": marker})
            to.logger.emit(body="from someone@example.com about 13912345678")
            to.meter.create_counter("tts.requests").add(1, {"tts.text": canary, "kept": marker})
        to.flush()
    send_what_the_sdk_does_not(stack, service, canary, on_a_link)

    # So that looking for the canary means something: its neighbour is there, in a file of every store.
    assert eventually(lambda: set(FOLDERS) - files_with(stack.state, marker) == set())
    assert files_with(stack.state, canary) == set()
    # No processor reaches the attributes of links. They wait in the Collector's queue, and Jaeger does not keep them.
    assert files_with(stack.state, on_a_link) <= {"otelcol"}

    assert trace_id(kept) in eventually(lambda: stack.search(service, kept=marker))
    text = str(stack.trace(trace_id(kept)))
    assert "https://tts.example/speak" in text
    assert canary not in text

    lines = {record["_msg"] for record in eventually(lambda: stack.logs(f'{{service.name="{service}"}}'))}
    assert {"REQ_START", "from **** about ****"} <= lines


def send_what_the_sdk_does_not(stack: Backends, service: str, canary: str, on_a_link: str) -> None:
    """Resources, scopes, links, bodies that are maps, exemplars."""
    resource = attributes(service__name=service, prompt=canary, process__command_line=canary)
    scope = {"name": "tests", "attributes": attributes(text=canary)}
    link = {"traceId": "a" * 32, "spanId": "b" * 16, "attributes": attributes(prompt=on_a_link)}
    record = {"body": {"kvlistValue": {"values": attributes(text=canary, inner={"prompt": canary})}}}
    now = {"asDouble": 1.0, "timeUnixNano": str(time.time_ns())}
    point = {**now, "exemplars": [{**now, "filteredAttributes": attributes(text=canary)}]}
    requests = {
        "traces": traces(span(links=[link]), resource=resource, scope=scope),
        "logs": logs(record, resource=resource, scope=scope),
        "metrics": metrics(point, resource=resource, scope=scope),
    }
    for signal, request in requests.items():
        httpx.post(f"{stack.otlp_http}/v1/{signal}", json=request).raise_for_status()

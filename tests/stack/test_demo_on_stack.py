# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's requests in the real backends: found by request id, linked to each other, none lost, nothing said."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from otel_tts.demo import client
from otel_tts.demo.environment import SERVICE

if TYPE_CHECKING:
    from conftest import Backends

NO_SYNTHESIS = "too long"
"""The demo's request that the service refuses before the engine: it has a server span and no log line of ours."""


def test_a_request_id_leads_to_trace_logs_and_exemplar(
    stack: Backends, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    first = run_demo(stack, tmp_path)[0]["request_id"]
    found = eventually(lambda: stack.search(SERVICE, request_id=first))
    assert len(found) == 1
    trace_id = found.pop()
    spans = stack.trace(trace_id) or []
    assert {"text_to_speech hibari", "tts.text_frontend", "tts.acoustic_model", "tts.vocoder"} <= {
        span["name"] for span in spans
    }
    lines = f'{{service.name="{SERVICE}"}} trace_id:="{trace_id}"'
    assert eventually(lambda: {found["_msg"].split()[0] for found in stack.logs(lines)} >= {"REQ_START", "REQ_SUCCESS"})
    linked = eventually(lambda: exemplars(stack, "tts_request_duration_seconds_bucket"))
    assert all(stack.trace(one) for one in linked)


def test_no_request_is_missing_after_everything_went_down(
    stack: Backends, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    for name in ("jaeger", "victorialogs"):
        stack.stop(name)
    try:
        sent = run_demo(stack, tmp_path)
        stack.kill("otelcol")
    finally:
        for name in ("otelcol", "jaeger", "victorialogs"):
            stack.start(name)
    assert len(sent) > 5
    for request in sent:
        request_id = request["request_id"]
        eventually(lambda wanted=request_id: stack.search(SERVICE, request_id=wanted))
        if request["kind"] != NO_SYNTHESIS:
            lines = f'{{service.name="{SERVICE}"}} request_id:="{request_id}"'
            ended = eventually(
                lambda lines=lines: (
                    {found["_msg"].split()[0] for found in stack.logs(lines)} & {"REQ_SUCCESS", "REQ_FAIL"}
                )
            )
            assert len(ended) == 1


def test_what_was_said_is_in_no_file_of_any_store(
    stack: Backends, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    request_id = run_demo(stack, tmp_path)[0]["request_id"]
    eventually(lambda: stack.search(SERVICE, request_id=request_id))
    said = [part for text in spoken_texts() for part in text.split(". ") if len(part) > 15]
    assert said
    needles = [form for text in said for form in forms_of(text)]
    holders, leaks = eventually(lambda: look_through(stack.state, request_id.encode(), needles))
    assert holders, "the request itself must be in some file, or this test looks in the wrong place"
    assert not leaks


def look_through(folder: Path, wanted: bytes, needles: list[bytes]) -> tuple[list[Path], list[Path]] | None:
    """The files with `wanted` in them, and those with a needle; None where a store has put one away meanwhile: what
    was in it is in another."""
    holders: list[Path] = []
    leaks: list[Path] = []
    try:
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                holders += [path] * (wanted in content)
                leaks += [path] * any(needle in content for needle in needles)
    except FileNotFoundError:
        return None
    return holders, leaks


def run_demo(stack: Backends, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "otel_tts.cli.main", "demo", "--requests", "4", "--json"]
    done = subprocess.run(
        [*command, "--endpoint", stack.otlp_http, "--out", str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["requests"]


def spoken_texts() -> list[str]:
    """Every text that the demo may send."""
    return [case.text.strip() for case in client.make_cases(4)]


def forms_of(text: str) -> list[bytes]:
    """A text as it could stand in a file: as it is, in a URL, in JSON, in base64."""
    plain = text.encode()
    escaped = json.dumps(text)[1:-1].encode()
    return [plain, urllib.parse.quote(text).encode(), escaped, base64.b64encode(plain)[:-4]]


def exemplars(stack: Backends, metric: str) -> set[str]:
    now = time.time()
    answer = httpx.get(
        f"{stack.prometheus}/api/v1/query_exemplars", params={"query": metric, "start": now - 3600, "end": now}
    )
    series = answer.raise_for_status().json()["data"]
    return {one["labels"]["trace_id"] for row in series for one in row["exemplars"]}

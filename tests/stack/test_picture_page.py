# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The page that Jaeger shows, in a real browser: a request's spans and lines, and nothing that a sender sent runs."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sending import sender, trace_id

if TYPE_CHECKING:
    from conftest import Backends

# Without these Chromium asks hosts of its maker at every start.
ALONE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
MARKUP = "<img src=x onerror=\"document.title='it ran'\"><script>document.title='it ran'</script>"


def shown(chromium: str, url: str, profile: Path) -> str:
    """The page as it is when its questions are answered."""
    command = [chromium, *ALONE, f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.requires("chromium")
@pytest.mark.parametrize("by", ["trace id", "request id"])
def test_a_request_is_shown_with_its_lines(
    stack: Backends, tmp_path: Path, requires: Callable[[str], str], eventually: Callable[..., Any], by: str
) -> None:
    service, request = f"page-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    with sender(stack.otlp_http, service) as to:
        with to.tracer.start_as_current_span(
            f"POST {MARKUP}", attributes={"request_id": request, "kept": MARKUP}
        ) as root:
            to.tracer.start_span("tts.vocoder").end()
            root.add_event(MARKUP, {"kept": MARKUP})
            to.logger.emit(body=f"REQ_SUCCESS {MARKUP}")
        to.flush()
    eventually(lambda: stack.search(service, request_id=request))
    eventually(lambda: stack.logs(f'trace_id:="{trace_id(root)}"'))

    asked = trace_id(root) if by == "trace id" else request
    page = shown(requires("chromium"), f"{stack.jaeger}/trace/{asked}", tmp_path)
    assert f"Trace {trace_id(root)}" in page
    assert re.findall(r"<td>(?:&nbsp;)*([^<]*tts\.vocoder)</td>", page), page
    assert "REQ_SUCCESS &lt;img" in page
    assert "<title>Traces</title>" in page
    assert "<img" not in page.replace("&lt;img", "")


@pytest.mark.requires("chromium")
def test_an_unknown_id_is_said(stack: Backends, tmp_path: Path, requires: Callable[[str], str]) -> None:
    page = shown(requires("chromium"), f"{stack.jaeger}/trace/{uuid.uuid4().hex}", tmp_path)
    assert "No trace of this id in the last seven days." in page

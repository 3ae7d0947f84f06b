# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of the demo: every id as a whole, every number with its unit."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from otel_tts.demo import render, report
from otel_tts.demo.client import Answer, Case
from otel_tts.readers.otlp_files import LogLine, Span
from otel_tts.readers.traces import Traces

LONG = "customer-" + "7f3c" * 29 + "..."  # 128 characters, the most that an id may have


def on(width: int, draw: Callable[[Console], None]) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    draw(console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 80, 110, 200])
@pytest.mark.parametrize("request_id", ["9e2344aad377feb326a3d5b56dcb1ee0", LONG])
def test_no_id_is_cut(request_spans: list[Span], width: int, request_id: str) -> None:
    row = report.make_row(Answer(Case("plain", "Hello."), 200, request_id, b"", 0.1), Traces(request_spans), None)
    lines = on(width, lambda console: render.print_table(console, [row]))
    assert [line.split()[0] for line in lines][-1] == request_id


def test_a_request_is_headed_by_its_id_and_has_its_lines_below(request_spans: list[Span]) -> None:
    logs = [
        LogLine(time, "INFO", body, "", {}, "", "", "", {})
        for time, body in (
            (2, "STAGE_TIME request_id=r1 vocoder=0.03"),
            (1, "REQ_START request_id=r1 [x] " + "y" * 200),
        )
    ]
    first, *tree, start, times = on(80, lambda console: render.print_request(console, request_spans[::-1], logs))
    assert first == "Request r1, the slowest that went well (trace t1):"
    assert tree[0].startswith("POST") and "100.0 ms" in tree[0]
    assert start.endswith("[x] " + "y" * 200) and times == "STAGE_TIME request_id=r1 vocoder=0.03"


def test_numbers_have_units(request_spans: list[Span]) -> None:
    row = report.make_row(Answer(Case("plain", "Hello."), 200, "r1", b"", 0.1), Traces(request_spans), None)
    upper, lower, line = on(150, lambda console: render.print_table(console, [row]))
    heads = f"{upper} {lower}"
    assert all(word in heads for word in ("characters", "first sound", "heard, ms", "took", "audio"))
    assert line.split() == ["r1", "plain", "ok", "200", "6", "2.00", "0.040", "90.0", "80.0"]

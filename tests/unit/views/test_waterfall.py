# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A trace in the terminal: order, tree, bars, and what is said of a span."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from otel_tts.readers.model import Span
from otel_tts.views import waterfall
from otel_tts.views.waterfall import Line, bar, lay_out, notes


def test_spans_stand_under_their_parents_in_order_of_start(request_spans: list[Span]) -> None:
    assert [line.branch + line.span.name for line in lay_out(request_spans)] == [
        "POST",
        "└─ text_to_speech",
        "   ├─ tts.text_frontend",
        "   ├─ tts.acoustic_model",
        "   └─ tts.vocoder",
    ]


def test_branches_of_elder_siblings_go_on(span: Callable[..., Span]) -> None:
    spans = [span("a", 0, 9), span("b", 1, 4, "a"), span("c", 2, 3, "b"), span("d", 5, 6, "a")]

    assert [line.branch + line.span.name for line in lay_out(spans)] == ["a", "├─ b", "│  └─ c", "└─ d"]


def test_places_are_shares_of_the_whole(request_spans: list[Span]) -> None:
    vocoder = lay_out(request_spans)[-1]

    assert (vocoder.offset, vocoder.length) == (0.6, 0.3)


def test_a_span_without_its_parent_is_still_shown(span: Callable[..., Span]) -> None:
    assert [line.branch for line in lay_out([span("a", 0, 1, "lost"), span("b", 1, 2)])] == ["", ""]


def test_nothing_and_no_time_at_all(span: Callable[..., Span]) -> None:
    assert lay_out([]) == []
    assert lay_out([span("a", 5, 5)])[0].length == 0


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0.0, 1.0, (0, 32)), (0.5, 0.25, (16, 8)), (0.5, 0.0, (16, 1)), (1.0, 0.0, (31, 1)), (0.99, 0.01, (31, 1))],
)
def test_a_bar_is_never_empty_nor_too_wide(
    span: Callable[..., Span], offset: float, length: float, expected: tuple[int, int]
) -> None:
    drawn = bar(Line(span("a", 0, 1), "", offset, length), 32)

    assert (len(drawn) - len(drawn.lstrip()), drawn.count("█")) == expected
    assert len(drawn) <= 32


def test_what_is_said_of_a_span(request_spans: list[Span], span: Callable[..., Span]) -> None:
    by_name = {each.name: notes(each) for each in request_spans}

    assert by_name["text_to_speech"] == "ok · cold start · 2.00 s of audio · rtf 0.040 · first sound heard at 0.090 s"
    assert by_name["POST"] == "status 200"
    assert by_name["tts.vocoder"] == "2 segments"
    assert by_name["tts.text_frontend"] == ""
    odd = span("a", 0, 1, attributes={"tts.cold_start": False, "tts.audio.anomaly": ["empty", "silent"]})
    assert notes(odd) == "empty, silent"


def test_it_is_printed_with_times_in_milliseconds(request_spans: list[Span]) -> None:
    wide, narrow = (printed(request_spans, width) for width in (160, 80))

    assert len(wide) == 5
    assert wide[3].split() == ["├─", "tts.acoustic_model", "█" * 13, "40.0", "ms"]
    assert [line.split()[2:] for line in narrow if "tts.acoustic_model" in line] == [["█" * 7, "40.0", "ms"]]


def printed(spans: list[Span], width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(waterfall.draw(spans, width))
    return console.export_text().splitlines()

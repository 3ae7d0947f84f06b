# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Filters that make no sense are refused; queries quote whatever is in them; syntheses come of broken traces too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_tts import names
from otel_tts.readers import loki, promql, tempo, victorialogs
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import Span
from otel_tts.readers.stores import Question, steps
from otel_tts.readers.syntheses import of_trace


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": -1}, {"least_seconds": -0.1}, {"least_seconds": float("nan")}, {"least_seconds": float("inf")},
        {"since": -1}, {"until": 2**63}, {"voice": ""}, {"voice": "x" * 1025}, {"voice": "a\0b"}, {"voice": "\ud800"},
        {"trace_id": "abc"}, {"trace_id": "A" * 32}, {"trace_id": "../../" + "a" * 26},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Filter(**wrong)


@pytest.mark.parametrize(
    ("metric", "show", "more"),
    [
        (names.REQUESTS, "quantile", {}), (names.REQUESTS, "value", {}), (names.OPEN_AGE, "increase", {}),
        (names.REQUEST_DURATION, "value", {}), (names.REQUEST_DURATION, "quantile", {"share": 1.0}),
        (names.REQUESTS, "increase", {"window": 0.0}), (names.REQUESTS, "increase", {"window": float("nan")}),
        (names.REQUESTS, "anything", {}),
    ],
)  # fmt: skip
def test_a_metric_is_asked_what_it_can_answer(metric: names.Metric, show: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Question(metric, show, **more)


@pytest.mark.parametrize(("since", "until", "step"), [(5, 4, 1.0), (0, 1, 0.0), (0, 1, float("nan")), (-1, 1, 1.0)])
def test_a_range_that_is_none(since: int, until: int, step: float) -> None:
    with pytest.raises(ValueError):
        steps(since, until, step)


TEXT = st.text(min_size=1, max_size=40).filter(
    lambda text: not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)
)


@given(TEXT)
def test_a_value_never_leaves_its_string(text: str) -> None:
    """In each language the query is what it is for a plain word, with the value in one string in its place."""
    for query in (victorialogs.query, tempo.traceql, loki.logql):
        plain, odd = (query(Filter(voice=value, service=value)) for value in ("word", text))
        assert odd == plain.replace('"word"', json.dumps(text, ensure_ascii=False))
        assert "\n" not in odd
    plain, odd = (promql.promql(Question(names.REQUESTS, "increase", {"tts.voice": value})) for value in ("word", text))
    assert odd == plain.replace('"word"', json.dumps(text, ensure_ascii=False))


@given(st.text(max_size=40))
def test_a_label_is_a_name_and_no_more(text: str) -> None:
    made = promql.label(text)
    assert made.isascii() and made.isidentifier()


def span(span_id: str, parent: str, start: int = 0, end: int = 10**9, **attributes: Any) -> Span:
    said = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span("t", span_id, parent, span_id, "internal", start, end, said, (), "unset", "", "", {})


SAID = {"gen_ai__operation__name": "text_to_speech"}


def test_spans_that_lead_in_a_circle_have_an_end() -> None:
    circle = [span("a", "b", **SAID), span("b", "c"), span("c", "a", tts__stage="vocoder")]
    (found,) = of_trace(circle)
    assert found.root.name == "c" and found.stages == {"vocoder": 1.0}
    (alone,) = of_trace([span("a", "a", **SAID)])
    assert alone.root.name == "a"


def test_a_synthesis_whose_root_was_not_read_is_its_own() -> None:
    (found,) = of_trace([span("a", "away", **SAID)])
    assert found.root.span_id == "a" and found.request_id is None and found.outcome is None and found.anomalies == ()


def test_stages_belong_to_the_nearest_synthesis() -> None:
    spans = [
        span("outer", "", 0, 10, **SAID), span("inner", "outer", 1, 9, **SAID),
        span("s1", "outer", 0, 1, tts__stage="a"), span("s2", "inner", 1, 9, tts__stage="b"),
        span("s3", "s2", 1, 5, tts__stage="c"),
    ]  # fmt: skip
    outer, inner = of_trace(spans)
    assert (set(outer.stages), set(inner.stages)) == ({"a"}, {"b", "c"})


def test_a_span_that_came_twice_counts_as_it_was_at_its_end() -> None:
    (found,) = of_trace([span("a", "", 0, 5 * 10**9, **SAID), span("a", "", 0, 10**9, **SAID)])
    assert found.seconds == 5.0


def test_time_that_runs_backwards_takes_none() -> None:
    (found,) = of_trace([span("a", "", 10, 5, **SAID), span("s", "a", 10, 5, tts__stage="x")])
    assert found.stages == {"x": 0.0}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests are joined with their traces; what is missing is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tts.demo import report
from otel_tts.demo.client import Answer, Case
from otel_tts.readers.model import LogLine, Point, Span
from otel_tts.readers.otlp_files import BadLine
from otel_tts.readers.traces import Telemetry, Traces
from otel_tts.views import summary

POINT = Point("tts.requests", "sum", "", {}, 0, 0, 1.0, None, None, (), (), (), "", {})
LINE = LogLine(0, "INFO", "REQ_START", "REQ_START", {}, "", "", "", {})


def answer(request_id: str = "r1", status: int = 200, **case: object) -> Answer:
    return Answer(Case("plain", "Hello.", **case), status, request_id, b"", 0.1)  # type: ignore[arg-type]


def telemetry(spans: list[Span], points: tuple[Point, ...] = (POINT,)) -> Telemetry:
    return Telemetry(tuple(spans), (LINE,), points, ())


def problems(spans: list[Span], *answers: Answer) -> list[str]:
    return report.find_problems(answers, Traces(spans), telemetry(spans))


def test_a_row_joins_both_sides(request_spans: list[Span]) -> None:
    row = report.make_row(answer(), Traces(request_spans), "wav/r1.wav")

    assert (row.request_id, row.trace_id, row.status_code, row.outcome) == ("r1", "t1", 200, "ok")
    assert (row.duration, row.audio_duration, row.real_time_factor, row.time_to_first_audio) == (0.08, 2.0, 0.04, 0.09)
    assert (row.text_length, row.anomalies, row.wav) == (6, (), "wav/r1.wav")


def test_what_is_not_known_stays_unknown() -> None:
    row = report.make_row(answer(status=413), Traces([]), None)

    assert (row.trace_id, row.outcome, row.duration, row.audio_duration) == (None, None, None, None)


def test_a_complete_trace_has_no_problem(request_spans: list[Span]) -> None:
    assert problems(request_spans, answer()) == []


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("POST", "no server span has its request_id"),
        ("text_to_speech", "no text_to_speech span under its server span"),
        ("tts.text_frontend", "no tts.text_frontend span in its trace"),
        ("tts.acoustic_model", "no tts.acoustic_model span in its trace"),
        ("tts.vocoder", "no tts.vocoder span in its trace"),
    ],
)
def test_every_lost_span_is_missed(request_spans: list[Span], lost: str, said: str) -> None:
    rest = [span for span in request_spans if span.name != lost]

    assert problems(rest, answer()) == [f"request r1 (plain): {said}"]


def test_a_refused_request_needs_its_server_span_only(request_spans: list[Span]) -> None:
    root = request_spans[-1:]

    assert problems(root, answer(status=413)) == []
    assert problems(root, answer("another", status=413)) != []


def test_a_caller_who_hung_up_may_have_missed_stages(request_spans: list[Span]) -> None:
    assert problems(request_spans[3:], answer(hang_up=True)) == []


def test_an_answer_without_an_id_is_a_problem(request_spans: list[Span]) -> None:
    assert problems(request_spans, answer("")) == ["request ? (plain): the answer has no x-request-id header"]


def test_empty_files_and_broken_lines_are_problems(request_spans: list[Span], tmp_path: Path) -> None:
    bad = BadLine(tmp_path / "traces.jsonl", 3, True, "")
    traces = Traces(request_spans)

    assert report.find_problems([], traces, Telemetry(tuple(request_spans), (), (), (bad,))) == [
        str(bad), "no metrics were written", "no log lines were written",
    ]  # fmt: skip


def test_no_telemetry_at_all_is_one_problem() -> None:
    said = report.find_problems([answer(), answer("")], Traces([]), Telemetry((), (), (), ()))

    assert said == ["no spans were written; the log of the service may say why"]


def test_requests_of_one_callers_trace_are_told_apart(request_spans: list[Span], span: Callable[..., Span]) -> None:
    other = span("other", 200, 210, "caller", kind="server", attributes={"request_id": "r2"})
    traces = Traces([*request_spans, other])

    assert traces.synthesis("r2") is None
    assert traces.below(other) == [other]
    assert [each.name for each in traces.below(request_spans[-1])][:2] == ["POST", "text_to_speech"]


def test_the_slowest_is_one_that_went_well(request_spans: list[Span], span: Callable[..., Span]) -> None:
    failed = span("failed", 0, 900, trace="t2", kind="server", attributes={"request_id": "r2"})
    traces = Traces([*request_spans, failed])
    rows = [report.make_row(answer(request_id), traces, None) for request_id in ("r1", "r2")]

    assert report.slowest(rows, traces)[0].name == "POST"
    assert report.slowest([], traces) == []


def test_the_lines_of_a_request_are_its_own(request_spans: list[Span]) -> None:
    def line(body: str, request_id: str, scope: str = "otel_tts") -> LogLine:
        return LogLine(0, "INFO", body, body.split()[0], {"request_id": request_id}, "", "", scope, {})

    logs = (line("REQ_START a", "r1"), line("REQ_START b", "r2"), line("app's", "r1", "app"), line("STAGE_TIME", "r1"))
    found = report.lines_of(request_spans[::-1], Telemetry(tuple(request_spans), logs, (), ()))
    assert [each.body for each in found] == ["REQ_START a", "STAGE_TIME"]


def test_the_summary_counts(request_spans: list[Span], tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text("12345")
    traces = Traces(request_spans)
    rows = [report.make_row(answer(), traces, None), report.make_row(answer("x", 413), traces, None)]
    files = (tmp_path / "traces.jsonl", tmp_path / "absent")
    summary = report.summarise(rows, telemetry(request_spans, (POINT, POINT)), files, [])

    assert summary["outcomes"] == {"ok": 1, "no synthesis": 1}
    assert summary["duration"] == {"p50": 0.08, "p95": 0.08}
    assert (summary["spans"], summary["log_lines"], summary["metrics"], summary["series"]) == (5, 1, 1, 1)
    assert summary["files"] == {str(tmp_path / "traces.jsonl"): 5}


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([3.0], 0.95, 3.0), ([1.0, 2.0], 0.5, 1.5), ([0.0, 1.0, 2.0, 3.0, 4.0], 0.95, 3.8)],
)
def test_quantiles(values: list[float], share: float, expected: float | None) -> None:
    assert summary.quantile(values, share) == (pytest.approx(expected) if expected is not None else None)


@pytest.mark.parametrize("request_id", ["", "..", ".hidden", "a/b", "a" * 129, "a\nb"])
def test_an_id_that_leads_elsewhere_names_no_file(request_id: str) -> None:
    assert report.file_name(request_id) is None
    assert report.file_name("demo-1.a:b_C") == "demo-1.a:b_C.wav"

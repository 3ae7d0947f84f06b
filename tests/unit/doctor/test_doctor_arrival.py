# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What of a canary is missing, or late, is said with its fix; read out of real files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from otel_tts import names
from otel_tts.doctor import arrival
from otel_tts.doctor.arrival import Arrival
from otel_tts.doctor.canary import STAGES, Canary
from otel_tts.doctor.check import FAIL, PASS, WARN, Check
from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.readers.files import FileLogs, FileTraces
from tests.store_contracts.sent import Request, S, counted, logs, metrics, record, traces

LINES = (names.REQ_START, names.REQ_SUCCESS, names.STAGE_TIME)


class Left:
    """A canary, and what it left in a folder."""

    def __init__(self, folder: Path, ago_s: float = 0.0) -> None:
        self.folder = folder
        self.at = time.time_ns() - round(ago_s * S)
        self.request = Request(self.at, "doctor-1", stages=dict.fromkeys(STAGES, 0.3), trace="ab" * 16)
        self.canary = Canary("doctor-1", "ab" * 16, self.at, "tests", "one")
        self.spans(*self.request.spans)
        self.lines(*LINES)
        self.count(1.0)

    def spans(self, *spans: dict[str, Any]) -> None:
        self._write("traces", traces("tests", list(spans)))

    def lines(self, *events: str) -> None:
        said = [record(self.at, event, f"{event} request_id=doctor-1", request_id="doctor-1") for event in events]
        self._write("logs", logs("tests", said))

    def count(self, value: float) -> None:
        made = counted(names.REQUESTS, time.time_ns() - S, self.at, value, **{names.OUTCOME: "ok"})
        self._write("metrics", metrics("tests", [made], "one"))

    def _write(self, signal: str, document: dict[str, Any]) -> None:
        (self.folder / f"{signal}-h-1.jsonl").write_text(json.dumps(document) + "\n")

    def checks(self) -> dict[str, Check]:
        stores = FileTraces(self.folder), FileLogs(self.folder), FileMetrics(self.folder)
        return {check.name: check for check in Arrival(self.canary, *stores).wait(0.0)}


def test_all_of_it_is_found(tmp_path: Path) -> None:
    checks = Left(tmp_path).checks()
    assert {name: check.status for name, check in checks.items()} == dict.fromkeys(("traces", "logs", "metrics"), PASS)


def test_what_came_late_is_late(tmp_path: Path) -> None:
    checks = Left(tmp_path, ago_s=arrival.LATE_S + 5).checks()
    assert {check.status for check in checks.values()} == {WARN}
    assert all(
        check.detail.startswith("late: all of it was in the files in") and check.fix for check in checks.values()
    )


def test_figures_of_a_service_that_is_asked_may_take_a_minute(tmp_path: Path) -> None:
    left = Left(tmp_path, ago_s=arrival.LATE_S + 5)
    left.canary = Canary("doctor-1", "ab" * 16, left.at, "tests", None)
    statuses = {name: check.status for name, check in left.checks().items()}
    assert statuses == {"traces": WARN, "logs": WARN, "metrics": PASS}


def test_a_stage_that_is_missing_is_named(tmp_path: Path) -> None:
    left = Left(tmp_path)
    left.spans(*(span for span in left.request.spans if span["name"] != "tts.vocoder"))
    check = left.checks()["traces"]
    assert check.status == FAIL and check.detail.startswith("the canary has no stage vocoder in the files in")


def test_a_synthesis_that_is_missing_is_said(tmp_path: Path) -> None:
    left = Left(tmp_path)
    left.spans(left.request.server)
    assert "there is no synthesis of the canary doctor-1" in left.checks()["traces"].detail


@pytest.mark.parametrize("missing", LINES)
def test_a_line_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    left = Left(tmp_path)
    left.lines(*(event for event in LINES if event != missing))
    check = left.checks()["logs"]
    assert check.status == FAIL and check.detail.startswith(f"the canary has no line {missing} in")


def test_a_failure_is_an_outcome_too(tmp_path: Path) -> None:
    left = Left(tmp_path)
    left.lines(names.REQ_START, names.REQ_FAIL, names.STAGE_TIME)
    assert left.checks()["logs"].status == PASS


def test_a_count_that_is_missing_is_said(tmp_path: Path) -> None:
    left = Left(tmp_path)
    left.count(0.0)
    check = left.checks()["metrics"]
    assert check.status == FAIL and check.detail.startswith("tts.requests did not count the canary in")
    assert "OTEL_METRIC_EXPORT_INTERVAL" in check.fix


def test_a_canary_whose_trace_is_another_is_found_by_its_id(tmp_path: Path) -> None:
    left = Left(tmp_path)
    left.canary = Canary("doctor-1", "cd" * 16, left.at, "tests", "one")
    looked = Arrival(left.canary, FileTraces(tmp_path), None, None)
    (check,) = looked.wait(0.0)
    assert check.status == PASS and {span.trace_id for span in looked.spans} == {"ab" * 16}

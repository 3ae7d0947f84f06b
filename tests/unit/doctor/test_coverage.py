# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The score of what is known of requests: each fact counts by its weight, and what lacks has its fix."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from otel_tts import names
from otel_tts.doctor import coverage
from otel_tts.doctor.check import MEASURED, PASS, WARN
from otel_tts.readers.files import FileTraces
from otel_tts.readers.model import Synthesis
from tests.store_contracts.sent import Request, S, traces

NOW = time.time_ns() - 3600 * S
WHOLE: dict[str, Any] = {names.AUDIO_DURATION: 2.0, names.AUDIO_SAMPLE_RATE: 24_000}
CALLER = "aa00000000000000"
STAGES = {"acoustic_model": 0.7, "vocoder": 0.25}


def read_back(folder: Path, *requests: Request) -> list[Synthesis]:
    document = traces("tests", [span for request in requests for span in request.spans])
    (folder / "traces-h-1.jsonl").write_text(json.dumps(document) + "\n")
    return list(FileTraces(folder).syntheses())


def test_a_request_that_tells_all_is_worth_all(tmp_path: Path) -> None:
    found = coverage.of(read_back(tmp_path, Request(NOW, stages=STAGES, parent="00000000000000aa", **WHOLE)))
    assert (found.score, found.requests) == (100, 1)
    assert {check.status for check in coverage.checks(found)} == {MEASURED, PASS}


@pytest.mark.parametrize(
    ("fact", "request_", "weight"),
    [
        ("stages", Request(NOW, stages={"vocoder": 0.5}, parent=CALLER, **WHOLE), 30),
        (
            "text length",
            Request(NOW, stages=STAGES, parent=CALLER, **{**WHOLE, names.TEXT_LENGTH: None}),
            15,
        ),
        ("audio facts", Request(NOW, stages=STAGES, parent=CALLER, **{names.AUDIO_DURATION: 2.0}), 20),
        ("voice", Request(NOW, stages=STAGES, parent=CALLER, **{**WHOLE, names.VOICE: None}), 5),
        ("model", Request(NOW, stages=STAGES, parent=CALLER, **{**WHOLE, names.MODEL: None}), 5),
        ("context in", Request(NOW, stages=STAGES, **WHOLE), 10),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_lacks_costs_its_weight_and_has_a_fix(tmp_path: Path, fact: str, request_: Request, weight: int) -> None:
    for span in request_.spans:
        span["attributes"] = [pair for pair in span["attributes"] if pair["value"] != {"stringValue": None}]
    found = coverage.of(read_back(tmp_path, request_))
    assert found.score == 100 - weight
    (lacking,) = [check for check in coverage.checks(found) if check.status == WARN]
    assert (lacking.name, lacking.detail) == (fact, "known of 0% of the requests") and lacking.fix


def test_what_could_not_be_known_is_not_missed(tmp_path: Path) -> None:
    failed = Request(NOW, stages=STAGES, parent=CALLER, **{names.OUTCOME: "error"})
    refused = Request(NOW, stages={}, **{names.OUTCOME: "rejected"})
    found = coverage.of(read_back(tmp_path, failed, refused))
    assert (found.score, found.requests) == (100, 1)
    assert coverage.plain(found)["shares"]["audio facts"] is None


def test_without_requests_there_is_no_score() -> None:
    found = coverage.of([])
    assert found.score is None
    (check,) = coverage.checks(found)
    assert (check.status, check.detail) == (WARN, "there are no requests to judge by")

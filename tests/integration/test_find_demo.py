# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's requests went through, told by their ids: each kind of trouble that it makes is named first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "otel_tts.cli.main"]


def told(*arguments: str) -> Any:
    done = subprocess.run([*COMMAND, *arguments, "--json"], capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def requests(folder: Path) -> list[dict[str, Any]]:
    return told("demo", "--out", str(folder))["requests"]


def test_each_trouble_is_named_first(requests: list[dict[str, Any]], folder: Path) -> None:
    first: dict[str, str | None] = {}
    for one in requests:
        (found,) = told("find", one["request_id"], "--dir", str(folder))["requests"]
        assert [line["event"] for line in found["lines"]][:1] == (["REQ_START"] if found["span_id"] else [])
        causes = found["why"]["causes"]
        first.setdefault(one["kind"], causes[0]["key"] if causes else None)
    assert first == {
        "plain": "cold_start", "streamed": "network", "Chinese": "bad_audio", "empty": "bad_audio",
        "too long": "rejected", "failing": "error", "hang-up": "client_left",
    }  # fmt: skip


def test_where_it_failed_is_said(requests: list[dict[str, Any]], folder: Path) -> None:
    (failing,) = [one for one in requests if one["kind"] == "failing"]
    (listed,) = told("find", "--failed", "--dir", str(folder))["requests"]
    assert listed["request_id"] == failing["request_id"]
    (found,) = told("find", failing["request_id"], "--dir", str(folder))["requests"]
    cause = found["why"]["causes"][0]
    assert cause["evidence"] == f"{failing['error_type']} in text_frontend"

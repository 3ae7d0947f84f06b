# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any of its lines loses nothing and archives nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EVERY = os.environ.get("OTEL_TTS_KILL_EVERY", "11")
"""1 is what `make soak` takes: each line."""

ROOT = Path(__file__).parents[3]


@pytest.mark.thorough
def test_killed_at_any_line(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_archive", str(tmp_path), EVERY],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    record_property("places", told["places"])
    assert told["wrong"] == []
    assert told["killed"] == told["tried"] >= told["places"] // int(EVERY) > 10
    assert told["places"] > 300

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Causes staged one by one in a service under the real launcher, found in its files by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SERVICE = Path(__file__).parent / "services" / "staged_engine.py"
NUMBER = 440  # of which the slow twentieth is enough to tell
ASKED = 5
"""Slow ones of which each is looked at alone: a machine that stood still for a moment may make one slow elsewhere."""

EXPECTED = {
    "voice": ("tts.voice", "carol", "vocoder"),
    "language": ("tts.text.language", "ja", "vocoder"),
    "cache miss": ("tts.reference.cache_hit", False, "reference_encode"),
    "fallback": ("tts.device.fallback", True, "vocoder"),
    "queue": ("waited in a queue", True, "queue"),
    "replica": ("k8s.pod.name", "pod-b", "vocoder"),
    "version": ("service.version", "b", "vocoder"),
}


def serve(staged: str, folder: Path, number: int, **more: str) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    tools = str(Path(sys.executable).parent)
    return subprocess.Popen(
        ["opentelemetry-instrument", sys.executable, str(SERVICE)],
        env={
            **clean, "PATH": tools + os.pathsep + clean["PATH"], "OTEL_SERVICE_NAME": "staged", "STAGED": staged,
            "OTEL_TTS_FILE_DIR": str(folder), "OTEL_TTS_VOICES": "alba,berta,carol,dora", "NUMBER": str(number),
            "SEED": "1", "OTEL_TTS_LOG_FORMAT": "none", **more,
        },
    )  # fmt: skip


def stage(staged: str, folder: Path) -> None:
    """One process; of a replica or a version two, of which one is slow."""
    folder.mkdir()
    if staged in ("replica", "version"):
        kind = "k8s.pod.name=pod-" if staged == "replica" else "service.version="
        running = [
            serve(staged, folder, NUMBER // 2, REPLICA=one, SEED=str(ord(one)), OTEL_RESOURCE_ATTRIBUTES=kind + one)
            for one in "ab"
        ]  # fmt: skip
    else:
        running = [serve(staged, folder, NUMBER)]
    for process in running:
        assert process.wait(240) == 0


def find(folder: Path, *arguments: str) -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-m", "otel_tts.cli.main", "find", "--dir", str(folder), "--json", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize("staged", EXPECTED)
def test_a_cause_that_is_staged_is_named_first(staged: str, tmp_path: Path) -> None:
    name, value, where = EXPECTED[staged]
    stage(staged, tmp_path / "t")
    told = find(tmp_path / "t", "--since", "1h", "--limit", "1")
    first = told["why"]["slow"]["named"][0]
    assert (first["name"], first["value"]) == (name, value)
    assert next(iter(told["why"]["stages_excess_seconds"])) == where
    assert told["compared_with"]["requests"] == NUMBER

    # Those that have it, and nothing else, by their traces: two replicas count alike.
    slow = find(tmp_path / "t", "--slowest", "20")["requests"]
    ids = [
        one["trace_id"] for one in slow if one["stages_seconds"].get(where, 0) > 0.08
        and one["attributes"].get("tts.device.fallback", False) == (staged == "fallback")
        and not one["attributes"].get("tts.cold_start")
    ]  # fmt: skip
    whys = [find(tmp_path / "t", one)["requests"][0]["why"] for one in ids[:ASKED]]
    at_fault = [why for why in whys if why["excess"]["parts"][0]["stage"] == where]
    assert len(whys) == ASKED and len(at_fault) > ASKED / 2, [why["excess"]["parts"][0] for why in whys]
    # What it says itself, then the stage.
    keys = [cause["key"] for cause in at_fault[0]["causes"]]
    own = {"fallback": ["fallback"], "cache miss": ["cache_miss"], "queue": ["lock"]}.get(staged, [])
    assert keys[: len(own) + 1] == [*own, "stage"] and keys[-1] == "shared"


def test_where_nothing_is_wrong_nothing_is_named_and_the_cold_one_tells_itself(tmp_path: Path) -> None:
    stage("none", tmp_path / "t")
    told = find(tmp_path / "t", "--since", "1h", "--limit", "1")
    assert told["why"]["causes"] == [] and told["why"]["slow"]["requests"] == NUMBER // 20
    (cold,) = find(tmp_path / "t", "r-0")["requests"]
    first, second = cold["why"]["causes"][:2]
    assert first["key"] == "cold_start" and first["touches"] < 5
    assert second["key"] == "stage" and "in no stage" in second["title"]

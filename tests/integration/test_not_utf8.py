# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Commands whose output is not UTF-8, as under LANG=C, in a cron job, in a pipe of another encoding."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fresh import clean

ENCODINGS = ("ascii", "latin-1")


def say(encoding: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("otel-tts")), *arguments], cwd=folder,
        env=clean() | {"PYTHONIOENCODING": encoding, "OTEL_SERVICE_NAME": "grüße"}, capture_output=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", ["settings", "doctor", "engines", "stack status", "--help", "run --help"])
def test_a_command_spells_what_it_cannot_write(command: str, encoding: str, tmp_path: Path) -> None:
    ended = say(encoding, tmp_path, *command.split())
    assert ended.stdout.decode(encoding) and b"Traceback" not in ended.stdout + ended.stderr
    assert ended.returncode in ((0, 1) if command in ("doctor", "stack status") else (0,)), ended.stderr


def test_json_stays_json(tmp_path: Path) -> None:
    told, plain = (say(encoding, tmp_path, "settings", "--json").stdout for encoding in ("utf-8", "ascii"))
    assert plain.isascii() and not told.isascii()
    assert json.loads(plain) == json.loads(told)


def test_the_demo_draws_with_what_there_is(tmp_path: Path) -> None:
    ended = say("ascii", tmp_path, "demo", "--requests", "1", "--out", str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    assert b"`- text_to_speech hibari" in ended.stdout and b"###" in ended.stdout

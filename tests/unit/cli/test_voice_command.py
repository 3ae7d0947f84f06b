# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts voice`: the hash that telemetry has for a recording, or why there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_tts.cli.main import app
from otel_tts.emit.voices import VoiceNames
from otel_tts.settings import Settings


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OTEL_TTS_HASH_KEY", "key")
    monkeypatch.delenv("OTEL_TTS_VOICE_NAMES", raising=False)
    path = tmp_path / "ann.wav"
    path.write_bytes(b"RIFF" * 1000)
    return path


def expected(path: Path) -> str:
    hashed = VoiceNames(Settings(hash_key="key")).hash_file(path)
    assert hashed is not None
    return hashed


def test_the_hash_is_the_one_of_telemetry(recording: Path) -> None:
    told = CliRunner().invoke(app, ["voice", str(recording)])
    assert (told.exit_code, told.stdout, told.stderr) == (0, f"{expected(recording)}  {recording}\n", "")


def test_as_a_document(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TTS_VOICE_NAMES", f"{expected(recording)}=安娜")
    told = CliRunner().invoke(app, ["voice", "--json", str(recording)])
    assert json.loads(told.stdout) == {
        "voices": [{"file": str(recording), "hash": expected(recording), "name": "安娜", "error": None}]
    }
    assert CliRunner().invoke(app, ["voice", str(recording)]).stdout.endswith("  安娜\n")


def test_what_cannot_be_read_is_said_and_the_rest_is_told(recording: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    paths = [str(tmp_path / "gone.wav"), str(tmp_path), str(recording), str(tmp_path / "pipe.wav")]
    told = CliRunner().invoke(app, ["voice", *paths])
    assert told.exit_code == 1 and "Traceback" not in told.stderr
    assert told.stdout == f"{expected(recording)}  {recording}\n"
    gone, folder, pipe = told.stderr.splitlines()
    assert "gone.wav: No such file" in gone and "OTEL_TTS_VOICES" in gone
    assert folder.endswith(": a folder, not a recording") and pipe.endswith(": not a regular file")
    document = json.loads(CliRunner().invoke(app, ["voice", "--json", *paths]).stdout)["voices"]
    assert [row["error"] is None for row in document] == [False, False, True, False]


def test_without_the_key_no_hash_is_told_that_matches_nothing(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TTS_HASH_KEY")
    told = CliRunner().invoke(app, ["voice", str(recording)])
    assert (told.exit_code, told.stdout) == (1, "")
    assert "would match none" in told.stderr and "export OTEL_TTS_HASH_KEY=" in told.stderr


def test_names_that_are_none_are_said(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TTS_VOICE_NAMES", "ann")
    told = CliRunner().invoke(app, ["voice", str(recording)])
    assert told.exit_code == 0 and "OTEL_TTS_VOICE_NAMES='ann' must be" in told.stderr


def test_wrong_use_is_status_2(recording: Path) -> None:
    assert CliRunner().invoke(app, ["voice"]).exit_code == 2

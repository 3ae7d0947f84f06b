# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The commands as a person types them: results on stdout, troubles in plain words, exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_tts.cli import demo as demo_command
from otel_tts.cli.main import app
from otel_tts.commands import installing, installing_elsewhere
from otel_tts.settings import SETTINGS


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    return CliRunner()


def test_help_names_every_command(wide: CliRunner) -> None:
    result = wide.invoke(app, ["--help"])

    assert result.exit_code == 0
    for command in ("run", "demo", "settings", "engines", "doctor", "voice", "stack"):
        assert f" {command} " in result.stdout


def test_version(wide: CliRunner) -> None:
    assert wide.invoke(app, ["--version"]).stdout == f"otel-tts {version('otel-tts')}\n"


def test_wrong_use_is_status_2(wide: CliRunner) -> None:
    assert wide.invoke(app, ["nonsense"]).exit_code == 2
    assert wide.invoke(app, ["demo", "--requests", "0"]).exit_code == 2


def test_help_works_without_the_extras(tmp_path: Path) -> None:
    """In an interpreter where nothing of the extras can be imported."""
    code = (
        "import sys\n"
        "for name in ('hibari', 'fastapi', 'uvicorn', 'httpx', 'onnxruntime', 'torch'): sys.modules[name] = None\n"
        "sys.argv = ['otel-tts', '--help']\n"
        "from otel_tts.cli.main import run\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "demo" in done.stdout


def test_settings_lists_all_of_them(wide: CliRunner) -> None:
    result = wide.invoke(app, ["settings"])

    assert result.exit_code == 0
    assert [s.variable for s in SETTINGS if s.variable not in result.stdout] == []


def test_settings_shows_what_holds_here_and_no_secret(wide: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TTS_HASH_KEY", "very-secret")
    monkeypatch.setenv("OTEL_TTS_VOICES", "anna, ben")
    monkeypatch.setenv("OTEL_TTS_CLOCK", "sundial")
    monkeypatch.setenv("OTEL_TTS_CLOK", "host")
    result = wide.invoke(app, ["settings", "--json"])
    told = json.loads(result.stdout)
    rows = {row["variable"]: row for row in told["settings"]}

    assert rows["OTEL_TTS_VOICES"]["value"] == ["anna", "ben"] and rows["OTEL_TTS_VOICES"]["changed"]
    assert rows["OTEL_TTS_HASH_KEY"]["value"] == "****"
    assert (rows["OTEL_TTS_CLOCK"]["value"], rows["OTEL_TTS_CLOCK"]["changed"]) == ("auto", False)
    assert len(told["problems"]) == 2
    assert "OTEL_TTS_CLOK " in told["problems"][1]

    table = wide.invoke(app, ["settings"])
    assert "very-secret" not in table.output + result.output
    assert "anna,ben" in table.stdout and "sundial" in table.stderr and "sundial" not in table.stdout


def test_engines_tells_what_is_installed(wide: CliRunner) -> None:
    found = json.loads(wide.invoke(app, ["engines", "--json"]).stdout)["engines"]
    hibari = next(engine for engine in found if engine["name"] == "hibari")

    assert hibari["version"] == version("hibari-tts")
    assert hibari["missing"] == []
    table = wide.invoke(app, ["engines"])
    assert table.exit_code == 0
    assert ["hibari", "hibari-tts", version("hibari-tts"), "all", "found"] in map(str.split, table.stdout.splitlines())


def test_demo_without_its_extra(wide: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo_command, "_NEEDED", ("hibari", "no_such_module", "no_such.inner"))
    result = wide.invoke(app, ["demo", "--out", str(tmp_path)])

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no_such_module, no_such.inner, which are not installed" in result.stderr
    assert result.stderr.splitlines()[-1] == f"Install it with: {installing('demo')}"


def test_what_comes_next_is_called_as_the_demo_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(sys.prefix).parent)
    monkeypatch.setattr(sys, "argv", [f"{Path(sys.prefix).name}/bin/otel-tts", "demo"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    lines = [line.strip() for line in demo_command._next().splitlines()]
    assert any(line.startswith(f"{Path(sys.prefix).name}/bin/otel-tts stack up ") for line in lines)
    assert installing_elsewhere() in lines and "otel-tts run -- uvicorn my_service:app" in lines


def test_demo_with_an_endpoint_that_is_no_url(wide: CliRunner, tmp_path: Path) -> None:
    result = wide.invoke(app, ["demo", "--out", str(tmp_path), "--endpoint", "collector:4318"])

    assert result.exit_code == 2
    assert "base URL" in result.stderr


def test_demo_with_an_endpoint_where_nobody_is(wide: CliRunner, tmp_path: Path, free_port) -> None:  # type: ignore[no-untyped-def]
    result = wide.invoke(app, ["demo", "--out", str(tmp_path), "--endpoint", f"http://127.0.0.1:{free_port()}"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Telemetry would not arrive: " in result.stderr and "Traceback" not in result.stderr


def test_demo_in_a_folder_that_cannot_be_written(wide: CliRunner) -> None:
    result = wide.invoke(app, ["demo", "--out", "/proc/nowhere"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Cannot write to /proc/nowhere" in result.stderr and "--out" in result.stderr


def test_demo_beside_files_of_somebody_else(wide: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "service.log").write_text("mine")
    result = wide.invoke(app, ["demo", "--out", str(tmp_path)])

    assert result.exit_code == 1
    assert "was not written by a demo" in result.stderr
    assert os.listdir(tmp_path) == ["service.log"]


def test_demo_in_something_that_is_a_file(wide: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert wide.invoke(app, ["demo", "--out", str(tmp_path / "file")]).exit_code == 2

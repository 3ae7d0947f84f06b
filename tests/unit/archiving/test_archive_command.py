# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts archive` says what is wrong with what it was given, and what it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from otel_tts.cli.main import app
from tests.support.archived import Folder, at, line


def command(*arguments: object, **environ: str) -> Result:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1", "COLUMNS": "300"}
    return CliRunner().invoke(app, ["archive", *map(str, arguments)], env={**env, **environ})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--to"),
        (["--to", "s3://key:verysecret@bucket"], "without keys"),
        (["--to", "file:///tmp", "--keep-bytes", "lots"], "500M"),
        (["--to", "file:///tmp", "--keep-days", "-1"], "--keep-days"),
        (["--to", "file:///tmp", "--fetch", "x"], "--month YYYY-MM"),
        (["--to", "file:///tmp", "--month", "2026-11"], "--fetch FOLDER"),
        (["--to", "file:///tmp", "--fetch", "x", "--month", "2026-13"], "--month YYYY-MM"),
        (["--to", "file:///tmp", "--fetch", "x", "--month", "0000-01"], "--month YYYY-MM"),
    ],
)
def test_wrong_use(arguments: list[str], said: str) -> None:
    ended = command(*arguments)
    assert ended.exit_code == 2 and said in ended.output and "verysecret" not in ended.output


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    ended = command("--to", f"file://{tmp_path}", "--dir", tmp_path / "x", "--state", tmp_path / "s")
    assert ended.exit_code == 1 and "by --dir" in ended.output


def test_what_it_did_in_words_and_as_json(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    given = ("--to", f"file://{folder.store}", "--dir", folder.logs, "--state", folder.home)
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(25))))
    ended = command(*given, "--json")
    assert ended.exit_code == 0
    told = json.loads(ended.stdout)
    assert (told["lines"], told["uploaded"], told["figures"]["waiting_bytes"], told["figures_sent"]) == (2, 2, 0, False)
    ended = command(*given)
    assert f"0 new lines, 0 day files verified in file://{folder.store}" in ended.output
    assert "did not reach a Collector" in ended.output
    back = command("--to", f"file://{folder.store}", "--fetch", tmp_path / "back", "--month", "2026-11")
    assert back.stdout.split() == [f"{tmp_path}/back/tts-20261124.jsonl.gz", f"{tmp_path}/back/tts-20261125.jsonl.gz"]
    none = command("--to", f"file://{folder.store}", "--fetch", tmp_path / "back", "--month", "2025-01")
    assert none.exit_code == 1 and "no day file of 2025-01" in none.output

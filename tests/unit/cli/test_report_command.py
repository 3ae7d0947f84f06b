# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts report` as a person types it: files, JSON, exit statuses, and what wrong use is told."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_tts import names
from otel_tts.cli import report as command
from otel_tts.cli.main import app
from otel_tts.commands import installing
from tests.store_contracts.sent import S, counted, metrics
from tests.support.a_month import ZONE

AT = round(datetime(2026, 10, 5, 12, tzinfo=ZONE).timestamp()) * S
IN_SHANGHAI = ("--zone", "Asia/Shanghai")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.chdir(tmp_path)
    made = [
        counted(names.REQUESTS, AT, AT - S, 12, **{names.OUTCOME: "ok", names.VOICE: "anna"}),
        counted(names.GPU_TIME, AT, AT - S, 7200.0),
    ]
    (tmp_path / "metrics-h-1.jsonl").write_text(json.dumps(metrics("x", made)) + "\n")
    return CliRunner()


def test_both_files_are_written_into_this_folder(cli: CliRunner, tmp_path: Path) -> None:
    result = cli.invoke(app, ["report", "--month", "2026-10", *IN_SHANGHAI])
    assert (result.exit_code, result.stdout.splitlines()) == (
        0, ["tts-report-2026-10.en.html", "tts-report-2026-10.en.pdf"],
    )  # fmt: skip
    assert "metrics are read from the files in" in result.stderr
    assert "Speech service: October 2026" in (tmp_path / "tts-report-2026-10.en.html").read_text(encoding="utf-8")
    assert (tmp_path / "tts-report-2026-10.en.pdf").read_bytes().startswith(b"%PDF-")


def test_the_language_is_the_terminals_or_that_asked_for(
    cli: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    asked = ["report", "--month", "2026-10", *IN_SHANGHAI, "--html", "a.html"]
    assert cli.invoke(app, asked).exit_code == 0
    assert "语音合成服务月报" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (
        cli.invoke(
            app, ["report", "--month", "2026-10", *IN_SHANGHAI, "--html", "a.html", "--language", "en"]
        ).exit_code
        == 0
    )
    assert "Speech service" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.pdf"))


def test_json_has_every_figure_and_needs_no_extra(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    asked = ["report", "--month", "2026-10", *IN_SHANGHAI, "--gpu-hour", "2.5", "--currency", "cny", "--json"]
    result = cli.invoke(app, asked)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["month"], told["zone"], told["is_over"]) == ("2026-10", "Asia/Shanghai", True)
    assert told["figures"]["requests"] == 12 and told["figures"]["voices"] == {"anna": 12}
    assert told["figures"]["cost"] == {"amount": 5.0, "currency": "CNY", "price_of_gpu_hour": 2.5}
    assert told["figures"]["within_2s_share"] is None and told["before"]["known"] is False
    assert told["figures"]["by_day"]["2026-10-05"] == 12 and len(told["figures"]["missing_days"]) == 30
    assert any("Nothing is known of" in one for one in told["lacking"])


def test_without_the_extra_it_says_how_to_get_it(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "typst" else object())
    result = cli.invoke(app, ["report", "--month", "2026-10", *IN_SHANGHAI])
    assert result.exit_code == 1
    assert f"typst is not installed, which a .pdf file needs.\nInstall it with: {installing('report')}" in result.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--month", "October"), "'October' is no month: write the year and the month as in 2026-10."),
        (("--month", "2999-01"), "'2999-01' is no month"),
        (("--month", "2800-01"), "2800-01 has not begun yet"),
        (("--month", "2026-10", "--zone", "Mars"), "'Mars' is no time zone"),
        (("--month", "2026-10", "--language", "de"), "'de' is none of en and zh"),
        (("--month", "2026-10", "--gpu-hour", "2", "--currency", "yuan"), "'yuan' is no currency"),
        (("--month", "2026-10", "--archive", "nowhere"), "nowhere is no folder of day files"),
        (("--month", "2026-10", "--metrics", "nothing"), "nothing is no http:// or https:// URL"),
        (("--month", "2026-10", "--gpu-hour", "-1"), "Invalid value"),
        (("--month", "2026-10", "--gpu-hour", "inf"), "Invalid value"),
    ],
)
def test_wrong_use_is_status_2_in_a_sentence(cli: CliRunner, asked: tuple[str, ...], said: str) -> None:
    result = cli.invoke(app, ["report", *asked])
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.stderr
    assert result.stdout == ""


def test_without_a_month_it_is_the_last_one_that_is_over(cli: CliRunner) -> None:
    last = datetime.now(ZONE).replace(day=1) - timedelta(days=1)
    result = cli.invoke(app, ["report", "--json", *IN_SHANGHAI])
    if f"{last:%Y-%m}" == "2026-10":
        assert json.loads(result.stdout)["month"] == "2026-10"
    else:
        assert f"Nothing is known of {last:%Y-%m}" in result.stderr


def test_a_month_of_which_nothing_is_known_is_status_1(cli: CliRunner) -> None:
    result = cli.invoke(app, ["report", "--month", "2026-07"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Nothing is known of 2026-07 in the files in" in result.stderr


def test_a_store_that_is_down_is_status_1(cli: CliRunner, free_port) -> None:  # type: ignore[no-untyped-def]
    result = cli.invoke(app, ["report", "--month", "2026-10", "--metrics", f"http://127.0.0.1:{free_port()}"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "does not answer: Connection refused" in result.stderr


def test_a_file_that_cannot_be_written_is_status_1(cli: CliRunner) -> None:
    result = cli.invoke(app, ["report", "--month", "2026-10", "--html", "/proc/nowhere/a.html"])
    assert result.exit_code == 1 and "/proc/nowhere/a.html cannot be written" in result.stderr

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts --help` is one screen, and a shell completes commands and options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from otel_tts.cli.main import app

SCRIPT = Path(sysconfig.get_path("scripts")) / "otel-tts"
SHELLS = {
    "bash": {"COMP_WORDS": "otel-tts {typed}", "COMP_CWORD": "{place}"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "otel-tts {typed}"},
    "fish": {"_TYPER_COMPLETE_ARGS": "otel-tts {typed}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "COLUMNS": "80", "LINES": "24", **env}
    return subprocess.run([SCRIPT, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_help_is_one_screen_with_every_command() -> None:
    done = run("--help")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    commands = get_command(app).commands  # type: ignore[attr-defined]
    said = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert list(said) == list(commands)
    assert [line for line in said.values() if line.endswith("...") or len(line.split()) < 3] == []
    assert "--install-completion" in done.stdout and "--version" in done.stdout


def test_the_page_shows_it() -> None:
    page = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    assert run("--help").stdout in page


def test_without_a_command_it_is_said_and_wrong_use() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: otel-tts COMMAND [OPTIONS]\n")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("typed", "offered"), [("rep", ["report"]), ("stack st", ["status"]), ("report --mo", ["--month"])]
)
def test_a_shell_is_offered_what_can_follow(shell: str, typed: str, offered: list[str]) -> None:
    asked = {key: text.format(typed=typed, place=len(typed.split())) for key, text in SHELLS[shell].items()}
    done = run(_OTEL_TTS_COMPLETE=f"complete_{shell}", **asked)
    assert done.returncode == 0, done.stderr
    assert all(one in done.stdout for one in offered) and "doctor" not in done.stdout


@pytest.mark.requires("bash")
def test_bash_completes_with_the_script_that_is_shown(tmp_path: Path, requires: Callable[[str], str]) -> None:
    """As in a terminal: the shown script is read, and its function asked for what follows."""
    shown = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    script = tmp_path / "completion.sh"
    script.write_text(
        f"{shown.stdout}\nCOMP_WORDS=(otel-tts do) COMP_CWORD=1\n_otel_tts_completion {SCRIPT}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\ncomplete -p otel-tts\n'
    )
    done = subprocess.run(
        [requires("bash"), script], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stdout.splitlines()[:1] == ["doctor"], shown.stdout + done.stdout + done.stderr
    assert "-F _otel_tts_completion otel-tts" in done.stdout


def test_it_is_installed_where_bash_looks(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not on PATH")
    done = run("--install-completion", "bash", HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_otel_tts_completion" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()

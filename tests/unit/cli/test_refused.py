# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A full disk and a working folder that is gone are told in words by whatever command meets them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest


def otel_tts(arguments: str, folder: Path, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    """Type a command in `folder`, with shell commands `before` it and redirections `after` it."""
    typed = f"{before} exec {shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} {arguments} {after}"
    return subprocess.run(["sh", "-c", typed], cwd=folder, capture_output=True, text=True, timeout=120)


PROGRAM = "from otel_tts.cli.script import run; run()"
GONE = 'rmdir "$PWD" &&'


@pytest.mark.parametrize("arguments", ["settings --json", "settings", "--help", "stack status --state .", "engines"])
def test_what_is_printed_onto_a_full_disk(tmp_path: Path, arguments: str) -> None:
    ended = otel_tts(arguments, tmp_path, after="> /dev/full")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert "No space left on device" in ended.stderr


@pytest.mark.parametrize("arguments", ["find x", "report --json", "engines", "view --html o.html"])
def test_a_folder_that_is_gone(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "here").mkdir()
    ended = otel_tts(arguments, tmp_path / "here", before=GONE)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert "is gone" in ended.stderr


def test_a_service_starts_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    ended = otel_tts("run -- sh -c 'echo spoken'", tmp_path / "here", before=GONE)
    assert (ended.returncode, ended.stdout) == (0, "spoken\n"), ended.stderr


def test_other_errors_are_not_hidden(tmp_path: Path) -> None:
    program = "from otel_tts.cli import refused\nwith refused.told(): open('nowhere')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "FileNotFoundError" in ended.stderr

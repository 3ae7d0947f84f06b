# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`make` with an environment that is there already: the one that is asked for is used, or it says why not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS, OTHER = "3.11.7 in /pythons/3.11", "3.12.1 in /pythons/3.12"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def stand_in(path: Path, says: str) -> None:
    """A program that notes how it was called and says who it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> "{path.parent}/calls"\necho "{says}"\n')
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("demo.lock", "dev.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    for name, says in (("python", OURS), ("pip", ""), ("otel-tts", "the demo")):
        stand_in(tmp_path / ".venv" / "bin" / name, says)
    stand_in(tmp_path / "same" / "python", OURS)
    stand_in(tmp_path / "other" / "python", OTHER)
    return tmp_path


def make(checkout: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(
        ["make", "demo", *arguments], cwd=checkout, env=environ | variables, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("by", ["argument", "environment"])
@pytest.mark.parametrize("stamped", [True, False])
def test_another_python_than_the_environments_is_said(checkout: Path, by: str, stamped: bool) -> None:
    if stamped:
        (checkout / ".venv" / "demo.stamp").touch()
    other = str(checkout / "other" / "python")
    status, out, err = make(checkout, f"PYTHON={other}") if by == "argument" else make(checkout, PYTHON=other)
    assert status == 2 and "the demo" not in out
    assert f"PYTHON={other} is {OTHER}; .venv was made with {OURS}." in err
    assert "rm -rf .venv" in err and "make without PYTHON" in err


def test_the_same_python_is_no_trouble(checkout: Path) -> None:
    status, out, _ = make(checkout, f"PYTHON={checkout / 'same' / 'python'}")
    assert status == 0 and "the demo" in out


def test_an_environment_is_used_again_where_no_python_is_asked_for(checkout: Path) -> None:
    (checkout / ".venv" / "demo.stamp").touch()
    status, out, _ = make(checkout)
    assert status == 0 and "the demo" in out and "installing" not in out


def test_installing_is_announced_before_pip_is_silent(checkout: Path) -> None:
    status, out, _ = make(checkout)
    lines = out.splitlines()
    (announced,) = [number for number, line in enumerate(lines) if line.startswith("installing ") and "minute" in line]
    assert status == 0 and announced < next(n for n, line in enumerate(lines) if "pip install" in line)


def test_an_environment_whose_python_is_gone_is_said(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/pythons/gone")
    status, _, err = make(checkout)
    assert status == 2 and "The Python of .venv is gone" in err and "rm -rf .venv" in err

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The wheel and its demo under every Python that is supported, where that Python is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fresh import build_wheel, find_python, install

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = [version for version in ("3.10", "3.11", "3.12", "3.13") if version != THIS]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.parametrize("version", OTHERS)
def test_the_demo_runs_under(version: str, wheel: Path, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"Python {version} is neither on PATH nor in pyenv (pyenv install {version})")
    installed = install(wheel, python, tmp_path)
    assert installed.python("import sys; print('%d.%d' % sys.version_info[:2])") == version
    out = tmp_path / "out"
    log = installed.demo(out, PYTHONWARNINGS="default")
    assert [line for line in log.splitlines() if "/otel_tts/" in line and "Warning: " in line] == []
    (traces,) = out.glob("traces-*.jsonl")
    assert json.loads(traces.read_text(encoding="utf-8").splitlines()[0])

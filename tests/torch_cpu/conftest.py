# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The same request in a process without otel-tts and in one started by the launcher, with the real torch on a CPU.

These tests need an environment of their own (tests/environments); elsewhere they are not collected.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from runs import REFERENCE, Run

os.environ["OMP_NUM_THREADS"] = "1"  # before torch's import: networks this small only wait for a second thread
HERE = Path(__file__).parent
sys.path += [str(HERE.parent / "integration"), str(HERE.parent.parent)]

from tests.unit.support.world import world  # noqa: E402

__all__ = ["world"]

NEEDS = {
    "test_chatterbox.py": "chatterbox",
    "test_coqui.py": "TTS",
    "test_f5_tts.py": "f5_tts",
    "test_omnivoice.py": "omnivoice",
    "test_qwen_tts.py": "qwen_tts",
    "test_voxcpm.py": "voxcpm",
}
"""Tests of packages that are in environments of their own; the others are in the one named torch."""

collect_ignore = [file.name for file in HERE.glob("test_*.py") if find_spec(NEEDS.get(file.name, "indextts25")) is None]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and a reference voice whose file's name nobody else would have."""
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("inputs")
    reference = folder / REFERENCE
    soundfile.write(reference, 0.1 * np.sin(np.arange(22050 * 2) * 0.06), 22050)
    subprocess.run([sys.executable, str(HERE / "tiny.py"), str(folder / "tiny")], check=True, timeout=300)
    return folder / "tiny", reference


@pytest.fixture(scope="session")
def without(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run_plain("speak.py", inputs, tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="session")
def traced(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run_traced("speak.py", inputs, tmp_path_factory.mktemp("with"))


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Run, Run]]:
    """`spoken("kokoro", *inputs)` is what small_kokoro.py left behind: without otel-tts, and under the launcher."""

    @functools.cache
    def speak(engine: str, *inputs: Path) -> tuple[Run, Run]:
        script = f"small_{engine}.py"
        return (
            _run_plain(script, inputs, tmp_path_factory.mktemp(f"{engine}_without")),
            _run_traced(script, inputs, tmp_path_factory.mktemp(f"{engine}_with")),
        )

    return speak


def _run_plain(script: str, inputs: tuple[Path, ...], out: Path) -> Run:
    seen, stderr = _speak([sys.executable], script, inputs, out, {})
    return Run(seen, out, stderr)


def _run_traced(script: str, inputs: tuple[Path, ...], out: Path) -> Run:
    from otlp_sink import OtlpSink

    launcher = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable]
    with OtlpSink() as sink:
        seen, stderr = _speak(launcher, script, inputs, out, sink.env(OTEL_SERVICE_NAME="speech"))
        return Run(seen, out, stderr, list(sink.spans()), sink.raw_bytes())


def _speak(start: list[str], script: str, inputs: tuple[Path, ...], out: Path, env: dict[str, str]) -> tuple[Any, str]:
    """Run the script with no way to a model hub."""
    command = [*start, str(HERE / script), *map(str, inputs), str(out)]
    alone = {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=os.environ | alone | env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The same request in a process without otel-tts and in one started by the launcher, with the real torch on a CPU.

These tests need an environment of their own (tests/environments); elsewhere they are not collected.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from runs import REFERENCE, Run

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))

collect_ignore_glob = [] if find_spec("indextts25") else ["test_*.py"]


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
    out = tmp_path_factory.mktemp("without")
    seen, stderr = _speak([sys.executable], inputs, out, {})
    return Run(seen, out, stderr)


@pytest.fixture(scope="session")
def traced(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    from otlp_sink import OtlpSink

    out = tmp_path_factory.mktemp("with")
    launcher = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable]
    with OtlpSink() as sink:
        seen, stderr = _speak(launcher, inputs, out, sink.env(OTEL_SERVICE_NAME="speech"))
        yield Run(seen, out, stderr, list(sink.spans()), sink.raw_bytes())


def _speak(start: list[str], inputs: tuple[Path, Path], out: Path, env: dict[str, str]) -> tuple[Any, str]:
    command = [*start, str(HERE / "speak.py"), *map(str, inputs), str(out)]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr

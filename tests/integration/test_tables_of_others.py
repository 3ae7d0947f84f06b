# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Packages that bring wrong tables: the service starts and answers as without them, and one line each says why."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from otlp_sink import OtlpSink

Script = Callable[..., "subprocess.CompletedProcess[str]"]

TABLES = {
    "ends": "raise SystemExit(7)",
    "misspelt": "from otel_tts import Engine\nENGINE = Engine(name='x', modul='y')",
    "formless": "from otel_tts import Engine, Entry\n\nENGINE = Engine('x', 'speaks', '', Entry('speak'))",
    "gone": "import no_such_module",
    "odd": "from otel_tts import Engine, Entry\nENGINE = Engine('x', 'speaks', '', (Entry('RATE'), Entry('Voice')))",
    "good": "from otel_tts import Chunk, Engine, Entry\n"
    "ENGINE = Engine('speaks', 'speaks', '', (Entry('speak', chunk=Chunk(rate=16000)),))",
}
ENGINE = """
import numpy
RATE = 16000
class Voice: pass
def speak(text): return numpy.full(1600, 0.25, numpy.float32)
"""
SERVICE = """
    import pickle, speaks
    print(type(speaks.RATE).__name__, type(speaks.Voice).__name__, len(pickle.dumps(speaks.Voice())) > 0)
    print(speaks.speak("hello").size)
"""


@pytest.fixture
def others(tmp_path: Path) -> Path:
    folder = tmp_path / "others"
    info = folder / "others-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.2\n")
    points = "\n".join(f"{name} = others_{name}:ENGINE" for name in TABLES)
    (info / "entry_points.txt").write_text(f"[otel_tts_engine]\n{points}\n")
    (folder / "speaks.py").write_text(ENGINE)
    for name, source in TABLES.items():
        (folder / f"others_{name}.py").write_text(source)
    return folder


def test_a_wrong_table_never_breaks_the_service(sink: OtlpSink, script: Script, others: Path) -> None:
    ended = script(SERVICE, sink.env(PYTHONPATH=str(others)))
    assert (ended.returncode, ended.stdout) == (0, "int type True\n1600\n"), ended.stderr
    assert "Traceback" not in ended.stderr
    left_out = [line for line in ended.stderr.splitlines() if "is left out" in line]
    assert len(left_out) == 4, ended.stderr
    for name, told in (
        ("ends", "SystemExit: 7 ("),
        ("misspelt", "unexpected keyword argument 'modul' ("),
        ("formless", "a comma is missing"),
        ("gone", "No module named 'no_such_module' ("),
    ):
        (line,) = [line for line in left_out if f"others_{name}:ENGINE of others 1.2" in line]
        assert told in line and f"{others}/others_{name}.py:" in line
    assert "speaks.RATE is of type int" in ended.stderr and "speaks.Voice is a class" in ended.stderr
    assert [span.name for span in sink.spans() if span.name.startswith("text_to_speech")] == ["text_to_speech"]

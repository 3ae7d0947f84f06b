# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a start does not import: it would pay for it whether or not it is used."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy
import pytest

import otel_tts
from otel_tts.late_numpy import np

SCRIPTS = Path(sysconfig.get_path("scripts"))
HEAVY = ("numpy", "google.protobuf", "requests", "grpc", "typer", "rich", "torch")
LOADED = f"import sys; print(*(name for name in {HEAVY} if name in sys.modules))"


def run(command: list[str], **env: str) -> str:
    whole = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")} | env
    done = subprocess.run(command, env=whole, cwd=os.sep, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_alone_imports_little() -> None:
    code = f"import otel_tts; {LOADED}; print('otel_tts.api' in sys.modules)"
    assert run([sys.executable, "-c", code]).splitlines() == ["", "False"]


@pytest.mark.parametrize("launcher", [["opentelemetry-instrument"], ["otel-tts", "run", "--"]], ids=" ".join)
def test_before_a_programs_first_line(launcher: list[str]) -> None:
    """The exporters are made, the canary has sung, the hooks are in place."""
    first, *rest = launcher
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TTS_SHUTDOWN_TIMEOUT": "0.1"}
    code = f"{LOADED}; print('otel_tts.export.exporters' in sys.modules)"
    assert run([str(SCRIPTS / first), *rest, sys.executable, "-c", code], **env).splitlines() == ["", "True"]


def test_the_short_way_of_run_knows_no_parser() -> None:
    code = """
import os, sys
sys.argv = ["otel-tts", "run", "python", "--version"]
os.execv = lambda _, command: sys.exit(print(*command, *(n for n in ("typer", "rich", "numpy") if n in sys.modules)))
from otel_tts.cli.script import run
run()
"""
    assert run([sys.executable, "-c", code]) == "python --version\n"


def test_a_command_is_imported_when_it_is_asked_for() -> None:
    code = """
import sys
from otel_tts.cli.main import run
sys.argv = ["otel-tts", *sys.argv[1:]]
try:
    run()
finally:
    ours = ("demo", "doctor", "engines", "find", "stack", "view")
    print(*(name for name in ours if f"otel_tts.cli.{name}" in sys.modules), "numpy" in sys.modules)
"""
    for arguments, imported in ((["--version"], "False"), (["--help"], "False"), (["find", "--help"], "find False")):
        assert run([sys.executable, "-c", code, *arguments]).splitlines()[-1] == imported


@pytest.mark.parametrize(
    "arguments", [["run", "--help"], ["run", "--", "--"], ["run"], ["--version"]], ids=lambda each: " ".join(each)
)
def test_what_is_no_command_goes_the_long_way(arguments: list[str]) -> None:
    done = subprocess.run([str(SCRIPTS / "otel-tts"), *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "no command to run" in done.stderr) in ((0, False), (2, True)), done.stderr


def test_every_name_is_found_and_no_other() -> None:
    for name in otel_tts.__all__:
        assert getattr(otel_tts, name) is not None and name in dir(otel_tts)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = otel_tts.nothing  # pyright: ignore
    names: dict[str, object] = {}
    exec("from otel_tts import *", names)
    assert set(otel_tts.__all__) <= set(names)


def test_nothing_is_of_numpys_kinds_before_numpy_is_there() -> None:
    code = """
import sys
from otel_tts.late_numpy import np
for value in (1, 1.0, [1], b"x", None):
    assert not isinstance(value, (np.generic, np.ndarray, np.number, np.integer, np.floating))
    assert isinstance(value, (np.number, type(value)))
print("numpy" in sys.modules)
assert np.zeros(2).sum() == 0 and isinstance(np.float32(1), np.number)
import numpy
print(np.ndarray is numpy.ndarray)
"""
    assert run([sys.executable, "-c", code]).split() == ["False", "True"]


def test_it_has_numpys_own_names() -> None:
    assert np.ndarray is numpy.ndarray and np.frombuffer is numpy.frombuffer
    with pytest.raises(AttributeError):
        _ = np.no_such_name

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How commands start: a Ctrl-C at once, and what `otel-tts run` says where otel-tts will not get into the program."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = "from otel_tts.cli.script import run; run()"
LOADED = "import json, sys; print(json.dumps('sitecustomize' in sys.modules))"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["-I"], "-I"), (["-sE"], "-E"), (["-uS"], "-S"), (["-W", "ignore", "-I"], "-I"), (["-X", "dev", "-B"], None),
        (["-W", "ignore::ImportWarning"], None), (["-WIgnore"], None), (["-Xdev", "-O"], None), ([], None),
    ],
)  # fmt: skip
def test_options_that_keep_it_out_are_named(options: list[str], named: str | None) -> None:
    command = [sys.executable, "-c", PROGRAM, "run", "--", sys.executable, *options, "-c", LOADED, "-I"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) is (named is None)
    assert (f"with {named} Python" in ended.stderr) is (named is not None), ended.stderr
    assert ("otel-tts run:" in ended.stderr) is (named is not None), ended.stderr


def test_a_ctrl_c_while_a_command_starts_is_no_stack_trace() -> None:
    program = """
import os, signal, sys
from otel_tts.cli.script import run

class CtrlC:
    def find_spec(self, name, *rest):
        if name == "otel_tts.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, CtrlC())
run()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")

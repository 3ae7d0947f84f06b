# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What messages tell people to type works when it is pasted: this program's path, and where it can be had from."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from otel_tts import commands

SCRIPTS = Path(sysconfig.get_path("scripts"))
SYSTEM = "/usr/bin:/bin"
BELOW = f"{SCRIPTS.parent.name}/bin/otel-tts"


def said_by(*command: str, path: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr + done.stdout


@pytest.mark.parametrize(
    ("path", "cwd", "typed", "called"),
    [
        (f"{SCRIPTS}:{SYSTEM}", Path("/"), "otel-tts", "otel-tts"),
        (f"{SCRIPTS}:{SYSTEM}", SCRIPTS, "./otel-tts", "otel-tts"),
        (SYSTEM, SCRIPTS.parent.parent, BELOW, BELOW),
        (SYSTEM, Path("/"), shlex.quote(str(SCRIPTS / "otel-tts")), shlex.quote(str(SCRIPTS / "otel-tts"))),
    ],
    ids=["on PATH", "on PATH, by its path", "below this folder", "elsewhere"],
)
def test_a_suggestion_calls_this_program_as_it_was_called(path: str, cwd: Path, typed: str, called: str) -> None:
    said = said_by("sh", "-c", f"{typed} run", path=path, cwd=cwd)
    assert f"usage: {called} run -- COMMAND" in said
    assert said_by("sh", "-c", f"{called} --version", path=path, cwd=cwd).startswith("otel-tts ")


def test_a_service_names_the_program_beside_its_python(tmp_path: Path) -> None:
    code = "from otel_tts.commands import suggest; print(suggest('engines'))"
    assert said_by(sys.executable, "-c", code, path=SYSTEM, cwd=tmp_path) == f"{SCRIPTS / 'otel-tts'} engines\n"


def test_another_program_of_this_name_on_the_path_is_not_meant(tmp_path: Path) -> None:
    (tmp_path / "otel-tts").write_text("#!/bin/sh\necho another\n")
    (tmp_path / "otel-tts").chmod(0o755)
    said = said_by(str(SCRIPTS / "otel-tts"), "run", path=f"{tmp_path}:{SYSTEM}", cwd=tmp_path)
    assert f"usage: {SCRIPTS / 'otel-tts'} run" in said


@pytest.mark.parametrize("where", ["argv", "folder", "script"])
def test_a_suggestion_never_raises(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "argv":
        monkeypatch.delattr(sys, "argv")
    if where == "folder":
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
    if where == "script":
        monkeypatch.setattr(commands, "_scripts", lambda: tmp_path)
        monkeypatch.setattr(sys, "argv", ["server.py"])
        assert commands.program().endswith(" -m otel_tts.cli.main")
    assert commands.program() and commands.installing("demo")


def suggestions(path: Path) -> list[str]:
    """What the module suggests to type in words that are always the same; not in docstrings, also of names, which are
    help."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [node.value for node in texts if id(node) not in documentation and FIXED.search(node.value)]


FIXED = re.compile(r"`otel-tts (?!stack` command)\w|(?<!\{)\bpip install\b")
PACKAGE = Path(commands.__file__).parent
KNOWN = {
    "settings.py": ("`otel-tts voice FILE` tells", "`otel-tts watch` and `status`; unset"),
    "names.py": ("of `otel-tts watch`",),
    "commands.py": ("pip install ",),
}
"""What docs/settings.md and docs/names.md quote; and what `installing_elsewhere` says of another environment."""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_suggests_a_command_that_may_not_be_on_the_path(path: Path) -> None:
    known = KNOWN.get(str(path.relative_to(PACKAGE)), ())
    assert [text for text in suggestions(path) if not any(one in text for one in known)] == []


def origin(root: Path, told: object) -> None:
    """Beside it stands the record that pip leaves of where it took otel-tts from."""
    info = root / "otel_tts-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otel-tts\nVersion: 0.1.0\n")
    if told is not None:
        (info / "direct_url.json").write_text(told if isinstance(told, str) else json.dumps(told))


def installs(root: Path) -> list[str]:
    code = "from otel_tts import commands as c; print(c.installing('demo')); print(c.installing_elsewhere())"
    path = os.pathsep.join([str(root), str(Path(commands.__file__).resolve().parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [line.partition(" install ")[2] for line in done.stdout.splitlines()]


def test_from_a_clone_it_is_installed_from_the_clone(tmp_path: Path) -> None:
    origin(tmp_path, {"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert installs(tmp_path) == [f"--editable '{tmp_path}[demo]'", str(tmp_path)]


def test_from_a_wheel_it_is_installed_from_the_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "with blank" / "otel_tts-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    origin(tmp_path, {"url": wheel.as_uri(), "archive_info": {}})
    assert installs(tmp_path) == [f"'{wheel}[demo]'", f"'{wheel}'"]


def test_from_a_repository_it_is_installed_from_there(tmp_path: Path) -> None:
    origin(tmp_path, {"url": "https://example.org/t.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}})
    there = "git+https://example.org/t.git@c0ffee"
    assert installs(tmp_path) == [f"'otel-tts[demo] @ {there}'", f"'otel-tts @ {there}'"]


@pytest.mark.parametrize("told", [None, "{", "[]", {"url": "file:///is/gone.whl", "archive_info": {}}])
def test_from_an_index_it_is_installed_by_its_name(told: object, tmp_path: Path) -> None:
    origin(tmp_path, told)
    assert installs(tmp_path) == ["'otel-tts[demo]'", "otel-tts"]

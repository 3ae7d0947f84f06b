# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A watcher's file: what it may say, who may write it, and that nothing of it goes through a shell."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_tts.cli.main import app
from otel_tts.trouble import WrongUse
from otel_tts.watching import config_file, signals, start
from otel_tts.watching.config import Action, Config, Gpu

DOCS = Path(__file__).parents[3] / "docs" / "watch.md"
LEAST = {"name": "tts", "page": {"url": "http://127.0.0.1:7860/"}}


@pytest.fixture
def write(tmp_path: Path):
    """`write(**said)` writes a file with what has to be there and `said`."""

    def make(**said: Any) -> Path:
        path = tmp_path / "watch.json"
        path.write_text(json.dumps({key: value for key, value in {**LEAST, **said}.items() if value is not None}))
        return path

    return make


def test_the_least_file_has_the_defaults(write) -> None:
    read = config_file.read(write())
    assert (read.every_s, read.for_s, read.restart, read.gpu.limit) == (10.0, 300.0, None, 0.95)
    assert config_file.read(write(gpu={"window_s": 5})).gpu == Gpu(0.95, 5.0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"name": "../x"}, "name must be letters"),
        ({"name": None}, "name is missing"),
        ({"page": None}, "nothing to look at"),
        ({"page": {}}, "page.url is missing"),
        ({"page": {"url": "file:///etc/passwd"}}, "page.url must be an http"),
        ({"page": "http://127.0.0.1/"}, "page must be a table"),
        ({"pages": {}}, "pages is not known"),
        ({"every_s": 0}, "every_s must be a number above 0"),
        ({"every_s": "10"}, "every_s must be a number above 0"),
        ({"every_s": True}, "every_s must be a number above 0"),
        ({"every_s": float("inf")}, "every_s must be a number above 0"),
        ({"memory": {"limit": 95}}, "memory.limit must be a share"),
        ({"limits": {"actions": 2.5}}, "limits.actions must be a whole number"),
        ({"control": "run/tts"}, "control must be a whole path"),
        ({"gpu": {"devices": "0"}}, "gpu.devices must be a list of words"),
        ({"memory": {"devices": ["0"]}}, "memory.devices is not known"),
        ({"heartbeat": "no"}, "heartbeat must be true or false"),
        ({"canary": {}}, "canary takes either url or command"),
        ({"canary": {"url": "http://h/", "command": ["true"]}}, "canary takes either"),
        ({"canary": {"url": "http://h/", "gradio": "speak", "json": {}}}, "the list of the function's inputs"),
        ({"canary": {"command": "say hello"}}, "canary.command must be a list of words"),
        ({"canary": {"url": "http://h/", "headers": {"a b": "c"}}}, "names and values of headers"),
        ({"canary": {"url": "http://h/", "headers": {"a": "c\r\nd: e"}}}, "names and values of headers"),
        ({"canary": {"url": "http://h/", "format": "pcm16"}}, "canary.sample_rate is missing"),
        ({"canary": {"url": "http://h/", "format": "mp3"}}, "pcm16 only"),
        ({"restart": {"command": "systemctl restart tts"}}, "must be a list of words"),
        ({"restart": {"command": []}}, "must be a list of words"),
        ({"restart": {}}, "restart takes one of command"),
        ({"restart": {"systemd": "a", "docker": "b"}}, "restart takes one of command"),
        ({"restart": {"systemd": "tts; reboot"}}, "must be names"),
        ({"restart": {"docker": "--all"}}, "must be names"),
        ({"restart": {"docker": "tts", "user": True}}, "goes not with docker"),
        ({"restart": {"command": ["/no/such/program"]}}, "is not there"),
        ({"restart": {"command": ["true"], "timeout_s": -1}}, "restart.timeout_s must be a number above 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_said(write, said: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=re.escape(message)):
        config_file.read(write(**said))


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\xff", "{" * 100_000])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "watch.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(WrongUse):
        config_file.read(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="No such file"):
        config_file.read(tmp_path / "none.json")


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_a_file_that_others_may_write_is_refused(write, tmp_path: Path, what: str) -> None:
    path = write()
    if what == "link":  # what it leads to counts
        path = tmp_path / "link.json"
        path.symlink_to(tmp_path / "watch.json")
    (tmp_path if what == "folder" else tmp_path / "watch.json").chmod(0o777)
    with pytest.raises(WrongUse, match="may be written by others"):
        config_file.read(path)


@pytest.mark.parametrize("place", ["program", "argument"])
def test_a_script_that_others_may_write_is_refused_at_the_start_and_before_each_run(
    write, tmp_path: Path, place: str
) -> None:
    from otel_tts.watching import commands

    script, ran = tmp_path / "restart.sh", tmp_path / "ran"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o700)
    command = [str(script)] if place == "program" else ["/bin/sh", str(script)]
    action = config_file.read(write(restart={"command": command})).restart
    assert action is not None and commands.run(action.command, 10).well and ran.exists()
    ran.unlink()
    script.chmod(0o722)
    refused = commands.run(action.command, 10)
    assert not refused.well and "may be written by others" in refused.reason and not ran.exists()
    with pytest.raises(WrongUse, match="it is not run"):
        config_file.read(write(restart={"command": command}))


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ({"systemd": "tts@1.service"}, ("systemctl", "restart", "tts@1.service")),
        ({"systemd": "tts", "user": True}, ("systemctl", "--user", "restart", "tts")),
        ({"docker": "tts"}, ("docker", "restart", "tts")),
        ({"kubectl": "deployment/tts"}, ("kubectl", "rollout", "restart", "deployment/tts")),
        ({"kubectl": "d/t", "namespace": "n"}, ("kubectl", "rollout", "restart", "--namespace", "n", "d/t")),
        ({"command": ["a", "; reboot"]}, ("a", "; reboot")),
    ],
)
def test_the_ways_to_restart(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said, command) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("systemctl", "docker", "kubectl", "a", "nvidia-smi"):
        shutil.copy(shutil.which("true"), tools / name)
    monkeypatch.setenv("PATH", str(tools))
    read = config_file.read(write(restart={**said, "timeout_s": 5}, gpu_reset={"nvidia_smi": "0"}))
    assert read.restart == Action(command, 5.0)
    assert read.gpu_reset == Action(("nvidia-smi", "--gpu-reset", "--id", "0"))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 reads no TOML")
def test_the_file_in_the_documentation_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(shutil.which("true"), tmp_path / "systemctl")
    monkeypatch.setenv("PATH", str(tmp_path))
    text = re.search(r"<!-- file: watch.toml -->\n```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    path = tmp_path / "watch.toml"
    path.write_text(text[1])
    read = config_file.read(path)
    assert read.canary is not None and read.canary.json["input"] == "One two three."
    assert read.restart == Action(("systemctl", "restart", "indextts.service"))


def test_the_documentation_has_every_key_signal_and_cause() -> None:
    text = DOCS.read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z_]+", text))
    assert set(Config.__dataclass_fields__) <= words
    assert signals.SIGNALS.keys() <= set(re.findall(r"`([a-z_]+)`", text))
    for cause in signals.CAUSES:
        row = re.search(rf"^\| `{cause.name}` \| `{cause.signal}` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
        assert row is not None, cause.name
        assert set(re.findall(r"`([a-z_]+)`", row[1])) == cause.beside
        assert row[2].count(",") == len(cause.steps) - 1


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["watch", *map(str, arguments)])


def test_the_command_checks_and_resets(command, write, tmp_path: Path) -> None:
    path = write()
    checked = command(path, "--check")
    assert (checked.exit_code, checked.stderr) == (0, "The file is well.\n")
    start.read(path)[1].open_breaker(1.0, "it did not help")
    assert "The breaker is open: it did not help" in command(path, "--check").stderr
    reset = command(path, "--reset")
    assert (reset.exit_code, reset.stderr) == (0, "The breaker was open (it did not help) and is closed now.\n")
    assert command(path, "--reset").stderr == "The breaker was closed already.\n"


def test_the_command_explains_wrong_use_and_a_second_watcher(command, write, tmp_path: Path) -> None:
    wrong = command(write(every_s=-1))
    assert wrong.exit_code == 2 and "every_s must be a number above 0" in wrong.stderr
    assert "Traceback" not in wrong.output
    path = write(heartbeat=False)
    _, books = start.read(path)
    books.hold()
    second = command(path)
    assert second.exit_code == 1 and "Another watcher" in second.stderr
    books.release()

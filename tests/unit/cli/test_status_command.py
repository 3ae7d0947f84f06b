# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts status`: what the processes of a service say of a request, and why they do not."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_tts.cli import status as module
from otel_tts.cli.main import app
from otel_tts.watching.inside import MUTE, Reply
from tests.unit.support.controlled import controlled, folder

__all__ = ["controlled", "folder"]

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """`told(ID, …)`: exit status, stdout and stderr of the command."""
    monkeypatch.setenv("OTEL_TTS_CONTROL", str(folder))

    def ask(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["status", *arguments])
        return done.exit_code, done.stdout, done.stderr

    return ask


def test_how_a_request_is_and_how_it_ended(controlled, told: Told) -> None:
    here, _ = controlled()
    open_one = here.synthesis(request_id="r").start()
    code, said, _ = told("r")
    assert code == 0 and said.startswith("open for ")
    open_one.audio([0.5, -0.5] * 8000, 16000)
    open_one.finish()
    assert told("r")[:2] == (0, "has ended this moment: ask again for its outcome\n")
    here.emitter.drain()
    code, said, _ = told("r")
    assert code == 0 and said.startswith("ok: 1.00 s of audio in ") and time.strftime("%Y-") in said
    code, said, errors = told("r", "--json")
    document = json.loads(said)
    assert (code, errors) == (0, "")
    assert (document["request_id"], document["state"], document["outcome"]) == ("r", "finished", "ok")
    assert (document["audio_s"], document["syntheses"], document["mute"]) == (1.0, 1, [])


def test_a_failure_is_named_by_its_class_alone(controlled, told: Told) -> None:
    here, _ = controlled()
    with pytest.raises(RuntimeError), here.synthesis(request_id="r"):
        raise RuntimeError("purple otter")
    here.emitter.drain()
    code, said, errors = told("r")
    assert code == 0 and said.startswith("error (RuntimeError): 0.00 s of audio")
    assert "otter" not in said + errors


def test_what_nobody_knows_is_a_failure_with_the_way_on(controlled, told: Told) -> None:
    controlled()
    code, said, errors = told("never")
    assert (code, said) == (1, "") and "otel-tts find never" in errors
    code, said, _ = told("never", "--json")
    assert (code, json.loads(said)["state"]) == (1, "unknown")


@pytest.mark.parametrize("name", ["a b", "x\nhealth", "", "ü", "x" * 129])
def test_what_is_no_id_is_wrong_use(told: Told, name: str) -> None:
    code, said, errors = told(name)
    assert (code, said) == (2, "") and "no request's id" in errors


def test_without_a_folder_it_says_how_to_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TTS_CONTROL", raising=False)
    done = CliRunner().invoke(app, ["status", "r"])
    assert done.exit_code == 2 and "OTEL_TTS_CONTROL=FOLDER" in done.stderr and "--control" in done.stderr


def test_a_folder_without_a_service_is_told_from_one_that_is_not_there(told: Told, tmp_path: Path) -> None:
    code, _, errors = told("r")
    assert code == 1 and "does the service run" in errors
    code, _, errors = told("r", "--control", str(tmp_path / "nowhere"))
    assert code == 1 and "nowhere" in errors and "believed" in errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root may believe every folder")
def test_a_folder_of_others_is_not_believed(told: Told, folder: Path) -> None:
    folder.chmod(0o755)
    code, _, errors = told("r")
    assert code == 1 and "may be entered by others" in errors


@pytest.fixture
def mute(folder: Path) -> Iterator[int]:
    """A process that takes the question and is stopped before it answers: its number."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "4711-00000000.sock"))
        listener.listen(1)
        yield 4711


def test_a_process_that_does_not_answer_is_named(
    controlled, told: Told, mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)
    here, _ = controlled()
    here.synthesis(request_id="r").start().finish()
    here.emitter.drain()
    code, said, errors = told("r")
    assert code == 0 and said and f"No answer from: {mute}" in errors
    code, _, errors = told("never")
    assert code == 1 and f"No answer from: {mute}" in errors


def finished(pid: int, **said: Any) -> Reply:
    return Reply(pid, said={"state": "finished", **said})


def test_of_several_processes_the_latest_word_counts() -> None:
    unknown, older, newer = Reply(1, said={"state": "unknown"}), finished(2, ended=5.0), finished(3, ended=7.0)
    assert module.put_together([unknown, newer, older]).said["ended"] == 7.0
    open_one = Reply(4, said={"state": "open", "age_s": 1.0})
    assert module.put_together([newer, open_one, older]).state == "open"


@pytest.mark.parametrize("said", [[], {"error": "status takes one request id"}, {"state": 1}, "finished"])
def test_an_answer_of_another_form_is_none(said: Any) -> None:
    assert module.put_together([Reply(7, said=said), Reply(8, MUTE)]).mute == (7, 8)

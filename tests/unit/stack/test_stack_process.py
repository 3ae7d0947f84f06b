# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A server is found again by its file, and no other process is ever taken for it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from otel_tts.stack import process
from otel_tts.stack.process import Process

SLEEP = shutil.which("sleep") or "sleep"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    started = process.start([SLEEP, "600"], os.environ, tmp_path, tmp_path / "logs" / "sleeper.log", "1")
    yield started
    if found := process.end(started, signal.SIGKILL):
        process.wait(found, 10)


def test_a_running_server_is_found_by_its_file(sleeper: Process, tmp_path: Path) -> None:
    process.save(tmp_path / "sleeper.json", sleeper)
    loaded = process.load(tmp_path / "sleeper.json")
    assert loaded == sleeper
    found = process.find(loaded)
    assert found is not None
    assert found.pid == sleeper.pid


def test_it_is_detached_from_our_session(sleeper: Process) -> None:
    assert os.getsid(sleeper.pid) != os.getsid(0)


def test_a_process_that_started_at_another_time_is_not_ours(sleeper: Process) -> None:
    later = replace(sleeper, started=sleeper.started - 3600)
    assert process.find(later) is None
    assert process.end(later, signal.SIGKILL) is None
    assert process.find(sleeper) is not None, "a process that only has the number of ours was killed"


def test_a_process_that_runs_something_else_is_not_ours(sleeper: Process) -> None:
    other = replace(sleeper, executable="/usr/bin/env")
    assert process.end(other, signal.SIGKILL) is None
    assert process.find(sleeper) is not None


def test_an_ended_server_is_not_found_even_before_it_is_waited_for(sleeper: Process) -> None:
    os.kill(sleeper.pid, signal.SIGKILL)
    # WNOWAIT leaves the zombie in place.
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    assert process.find(sleeper) is None
    assert not psutil.pid_exists(sleeper.pid)


def test_end_and_wait(sleeper: Process) -> None:
    found = process.end(sleeper, signal.SIGTERM)
    assert found is not None
    assert process.wait(found, 10)
    assert process.find(sleeper) is None
    assert process.end(sleeper, signal.SIGTERM) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_process_file_that_says_nothing_is_no_process(tmp_path: Path, content: str) -> None:
    file = tmp_path / "server.json"
    assert process.load(file) is None
    file.write_text(content, encoding="utf-8")
    assert process.load(file) is None
    assert process.find(None) is None


def test_a_grown_log_is_begun_anew_and_the_one_before_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOG_LIMIT", 100)
    log = tmp_path / "server.log"
    log.write_text("x" * 101, encoding="utf-8")
    for expected in (0, 0):
        started = process.start([SLEEP, "0"], os.environ, tmp_path, log, "1")
        process.wait(psutil.Process(started.pid), 10)
        assert log.stat().st_size == expected
    assert (tmp_path / "server.log.1").stat().st_size == 101


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert process.tail(log, 3) == []
    log.write_text("\n".join(f"line {number}" for number in range(20000)), encoding="utf-8")
    assert process.tail(log, 2) == ["line 19998", "line 19999"]

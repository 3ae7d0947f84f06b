# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service that starts badly, ends badly or not at all is explained and never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tts.demo import process
from otel_tts.trouble import Trouble

LISTEN = """
import os, signal, socket, sys, time
def end(number, frame):
    {at_end}
signal.signal(signal.SIGTERM, end)
print("pid", os.getpid(), flush=True)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`service(code)` makes `code` the service; its port is sys.argv[1]."""

    def install(code: str) -> None:
        monkeypatch.setattr(process, "command", lambda port: [sys.executable, "-c", code, str(port)])

    return install


def pid_in(log: Path) -> int:
    found = re.search(r"pid (\d+)", log.read_text())
    assert found
    return int(found[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_runs_while_the_block_runs(service: Callable[[str], None], tmp_path: Path) -> None:
    service(LISTEN.format(at_end="print('bye', flush=True); sys.exit(0)"))
    log = tmp_path / "service.log"

    with process.serve(os.environ, log) as base:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", base)
        assert is_alive(pid_in(log))
    assert not is_alive(pid_in(log))
    assert "bye" in log.read_text()


@pytest.mark.parametrize("at_end", ["os._exit(143)", "signal.signal(15, signal.SIG_DFL); os.kill(os.getpid(), 15)"])
def test_ending_by_the_signal_itself_is_fine(service: Callable[[str], None], tmp_path: Path, at_end: str) -> None:
    service(LISTEN.format(at_end=at_end))

    with process.serve(os.environ, tmp_path / "log"):
        pass


def test_a_bad_exit_is_told_with_the_end_of_the_log(service: Callable[[str], None], tmp_path: Path) -> None:
    service(LISTEN.format(at_end="print('it broke', flush=True); os._exit(7)"))

    with (
        pytest.raises(Trouble, match=r"(?s)ended with status 7\..*it broke"),
        process.serve(os.environ, tmp_path / "log"),
    ):
        pass


def test_a_service_that_does_not_start_is_told(service: Callable[[str], None], tmp_path: Path) -> None:
    service("import sys; sys.exit('no such module')")

    with (
        pytest.raises(Trouble, match=r"(?s)ended by itself with status 1\..*no such module"),
        process.serve(os.environ, tmp_path / "log"),
    ):
        pytest.fail("it never got ready")


def test_a_service_that_never_gets_ready_is_ended(
    service: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service("import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)")
    monkeypatch.setattr(process, "READY_WITHIN_S", 1.0)

    with pytest.raises(Trouble, match="not ready within 1 s"), process.serve(os.environ, tmp_path / "log"):
        pytest.fail("it never got ready")
    assert not is_alive(pid_in(tmp_path / "log"))


def test_a_service_that_does_not_end_is_killed(
    service: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service(LISTEN.format(at_end="pass"))
    monkeypatch.setattr(process, "ENDED_WITHIN_S", 0.5)

    with pytest.raises(Trouble, match="was killed"), process.serve(os.environ, tmp_path / "log"):
        pass
    assert not is_alive(pid_in(tmp_path / "log"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_takes_its_service_along(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    code = (
        "import os, pathlib, sys, time\n"
        "from otel_tts.demo import process\n"
        f"process.command = lambda port: [sys.executable, '-c', {LISTEN.format(at_end='sys.exit(0)')!r}, str(port)]\n"
        f"with process.serve(os.environ, pathlib.Path({str(log)!r})):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    demo = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert demo.stdout is not None
    assert demo.stdout.readline() == b"ready\n"
    demo.send_signal(number)
    demo.communicate(timeout=30)

    assert demo.returncode != 0
    deadline = time.monotonic() + 20
    while is_alive(pid_in(log)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid_in(log))

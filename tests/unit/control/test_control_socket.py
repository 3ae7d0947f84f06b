# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The socket itself: who may ask, where it lies, and what stays of it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from otel_tts.control import folder as folders
from otel_tts.control import server as module
from otel_tts.control import start
from otel_tts.control.server import Server
from tests.unit.support.controlled import ask


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_socket_and_token_are_for_this_user_only(controlled, folder: Path) -> None:
    _, server = controlled()
    assert server.path.parent == folder and server.path.name.startswith(f"{os.getpid()}-")
    assert (mode(folder), mode(server.path), mode(folder / "token")) == (0o700, 0o600, 0o600)
    server.close()
    assert not list(folder.glob("*.sock")) and not list(folder.glob("*.new"))


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    made = folders.prepare(tmp_path / "a" / "b")
    assert mode(made) == 0o700


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("open", "may be entered by others"),
        ("link", "is no folder"),
        ("file", "cannot be made"),
        ("inside", "may be written by others"),
        ("long", "too long a path"),
    ],
)
def test_a_folder_of_others_is_refused_and_the_service_runs(world, tmp_path, caplog, what, reason) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    path = own
    if what == "open":
        own.chmod(0o750)
    elif what == "link":
        path = tmp_path / "link"
        path.symlink_to(own)
    elif what == "file":
        path = tmp_path / "file"
        path.touch()
    elif what == "inside":
        tmp_path.chmod(0o777)
    else:
        path = own / ("x" * 100)
    with caplog.at_level(logging.WARNING, "otel_tts"):
        assert start.start(world().emitter, str(path)) is None
    (said,) = caplog.messages
    assert said.startswith("otel-tts: no control socket") and reason in said
    assert not list(own.rglob("*.sock"))


ASK_AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
asking = socket.socket(socket.AF_UNIX)
asking.connect(sys.argv[1])
try:
    asking.sendall(b"health\\n")
    print(asking.recv(100))
except OSError:  # closed with what was asked unread, or before
    print(b"")
"""


def ask_as_nobody(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ASK_AS_NOBODY, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_another_user_gets_no_answer_even_where_the_folder_was_opened_since(monkeypatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as reachable:  # pytest's own folders are closed further up
        server = Server(Path(reachable), {"health": lambda rest: {"pid": os.getpid()}})
        assert ask(server.path, "health") == {"pid": os.getpid()}
        if os.getuid() == 0:
            Path(reachable).chmod(0o755)
            server.path.chmod(0o777)
            ended = ask_as_nobody(server.path)
            assert ended.stdout == "b''\n", ended.stderr
        else:  # nobody else can be asked for: then this user is the stranger
            monkeypatch.setattr(module.os, "geteuid", lambda: os.getuid() + 1)
            assert ask(server.path, "health") is None
        server.close()


@pytest.mark.parametrize("line", ["", "reset", "health; reboot", "../health", "shell ls"])
def test_there_are_three_verbs_and_no_others(controlled, line: str) -> None:
    _, server = controlled()
    said = ask(server.path, line)
    if line.startswith("health"):
        assert "error" in said
    else:
        assert said == {"error": "no such verb; there are status, health, empty-cache"}


@pytest.mark.parametrize("sent", [b"x" * 5000 + b"\n", b"\xff\xfe\n"])
def test_what_is_no_line_of_text_is_not_answered(controlled, sent: bytes) -> None:
    _, server = controlled()
    try:
        assert ask(server.path, sent) is None
    except ConnectionError:  # closed with bytes unread
        pass
    assert "pid" in ask(server.path, "health")


def test_who_is_silent_holds_up_nobody(controlled) -> None:
    _, server = controlled()
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
    for one in silent:
        one.connect(str(server.path))
        one.sendall(b"hea")
    assert "pid" in ask(server.path, "health")
    for one in silent:
        one.close()


CHILDREN = """
import os, signal, sys
from pathlib import Path
from otel_tts.control import start
from otel_tts.control.server import Server
from tests.unit.support.controlled import ask
from tests.unit.support.world import World
folder = Path(sys.argv[1])
here = World(interval=0.01)
server = start.start(here.emitter, str(folder))
ready, tell = os.pipe()
child = os.fork()
if child == 0:
    with here.synthesis(request_id="child"):
        pass
    os.write(tell, b"x")
    signal.pause()
os.read(ready, 1)
found = {ask(path, "health")["pid"] for path in folder.glob("*.sock")}
assert found == {os.getpid(), child}, found
parents = ask(server.path, "status child")
assert parents == {"state": "unknown"}, parents
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
assert len(list(folder.glob("*.sock"))) == 2  # its own is left behind
assert ask(server.path, "health")["pid"] == os.getpid()
print("well", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_fork_has_a_socket_of_its_own_and_leftovers_of_sigkill_are_removed(controlled, folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILDREN, str(folder)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.returncode) == ("well\n", -signal.SIGKILL), ended.stderr
    assert len(list(folder.glob("*.sock"))) == 2
    token = (folder / "token").read_bytes()
    _, server = controlled()
    assert list(folder.glob("*.sock")) == [server.path]
    assert (folder / "token").read_bytes() == token


def test_workers_that_begin_at_once_have_one_token(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from otel_tts.control.folder import *; "
    code += "print(read_token(prepare(Path(sys.argv[1]))).decode())"
    command = [sys.executable, "-c", code, str(tmp_path / "control")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({worker.communicate(timeout=60)[0] for worker in workers}) == 1
    assert [path.name for path in (tmp_path / "control").iterdir()] == ["token"]

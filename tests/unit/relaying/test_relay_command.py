# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts relay` as a process: who may come in, what it says of itself, and what a kill leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.alerting import CANARY, alert, failures, payload, write
from tests.support.wechat import WeChatWork

TOKEN = "0123456789abcdef-token"
COMMAND = [sys.executable, "-m", "otel_tts.cli.main", "relay", "--listen", "127.0.0.1:0"]


@dataclass
class Running:
    url: str
    process: subprocess.Popen[str]
    log: Path

    def post(self, body: bytes, token: str | None = TOKEN, **headers: str) -> httpx.Response:
        said = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.post(f"{self.url}/alertmanager", content=body, headers={**said, **headers})

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics").text


@contextmanager
def running(folder: Path, company: WeChatWork, *more: str) -> Iterator[Running]:
    to = folder / "to"
    to.write_text(f"group {company.url}/cgi-bin/webhook/send?key={company.key}\n", encoding="utf-8")
    to.chmod(0o600)
    log = folder / "log"
    environ = {**os.environ, "RELAY_TOKEN": TOKEN, "XDG_STATE_HOME": str(folder / "xdg")}
    arguments = ["--to-file", str(to), "--state", str(folder / "state"), "--dir", str(folder), *more]
    with log.open("a") as file:
        process = subprocess.Popen([*COMMAND, *arguments], stdout=file, stderr=file, env=environ, text=True)
    try:
        begun = len(log.read_text())
        until(lambda: "alerts are taken at" in log.read_text()[begun:] or process.poll() is not None)
        url = re.findall(r"http://127.0.0.1:\d+", log.read_text())[-1]
        yield Running(url, process, log)
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], object]) -> None:
    patience = time.monotonic() + 30
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.02)


@pytest.fixture
def company() -> Iterator[WeChatWork]:
    with WeChatWork() as one:
        yield one


def test_who_may_come_in(tmp_path: Path, company: WeChatWork) -> None:
    good = payload(alert())
    with running(tmp_path, company) as relay:
        for token in (None, "x", "wrong", TOKEN[:-1], TOKEN + "x", "ü"):
            said = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
            answer = httpx.post(f"{relay.url}/alertmanager", content=good, headers=said)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert relay.post(b"{}").status_code == 400
        assert relay.post(CANARY.encode()).status_code == 400
        assert CANARY not in relay.post(payload({**alert(), "status": CANARY})).text
        assert relay.post(b"x" * 1_000_001).status_code == 413
        assert httpx.post(f"{relay.url}/else", content=good).status_code == 404
        chunked = httpx.post(
            f"{relay.url}/alertmanager", content=iter([good]), headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert chunked.status_code == 411
        assert relay.post(good).status_code == 200
        until(lambda: company.messages)
        page = relay.metrics()
        for reason, count in {"token": 6, "form": 4, "size": 1}.items():
            assert f'tts_relay_refused_total{{reason="{reason}"}} {count}' in page
    assert len(company.messages) == 1


def test_a_body_over_a_million_is_not_read(tmp_path: Path, company: WeChatWork) -> None:
    with running(tmp_path, company) as relay:
        host, port = relay.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as caller:
            head = (
                f"POST /alertmanager HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 999999999999\r\n\r\n"
            )
            caller.sendall(head.encode())
            assert b" 413 " in caller.recv(1000)


def test_nothing_secret_is_seen_anywhere(tmp_path: Path, company: WeChatWork) -> None:
    write(tmp_path, *failures(12))
    with running(tmp_path, company) as relay:
        shown = " ".join(psutil.Process(relay.process.pid).cmdline())
        relay.post(payload(alert()), token="verywrong42")
        assert relay.post(payload(alert())).status_code == 200
        until(lambda: company.messages)
        kept = "".join(path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file())
        told = shown + relay.metrics() + relay.log.read_text() + kept + str(httpx.get(f"{relay.url}/-/ready").headers)
        for secret in (company.key, TOKEN, "verywrong42", "CANARY"):
            assert secret not in told
    (one,) = company.messages
    assert one.content.count("request_id=failed-") == 10 and "acoustic_model 8.400 s" in one.content
    assert "CANARY" not in one.content


def test_killed_while_nobody_listens(tmp_path: Path, company: WeChatWork) -> None:
    company.__exit__()
    with running(tmp_path, company) as relay:
        for name in "ABC":
            assert relay.post(payload(alert(name))).status_code == 200
        until(lambda: "does not take messages" in relay.log.read_text())
        relay.process.send_signal(signal.SIGKILL)
        relay.process.wait()
    company.__enter__()
    with running(tmp_path, company) as relay:
        until(lambda: len(company.messages) == 3)
        until(lambda: not list((tmp_path / "state").glob("*.json")))
        relay.process.terminate()
        assert relay.process.wait(30) == 0
    assert [one.content.splitlines()[2].split()[1] for one in company.messages] == ["A", "B", "C"]


@pytest.mark.thorough
def test_killed_again_and_again_while_it_delivers(tmp_path: Path, company: WeChatWork) -> None:
    """What was being sent when it was killed may come once more; nothing is lost, and the order stays."""
    company.__exit__()
    names = [f"A{number:02}" for number in range(15)]
    with running(tmp_path, company) as relay:
        for name in names:
            assert relay.post(payload(alert(name))).status_code == 200
    company.__enter__()
    kills = 0
    while list((tmp_path / "state").glob("*.json")) and kills < 40:
        before = len(company.messages)
        with running(tmp_path, company):
            until(lambda before=before: len(company.messages) > before + 3 or len(company.messages) >= 15)
        kills += 1  # at once, without a word
        company.forget_rate()
    told = [one.content.splitlines()[2].split()[1] for one in company.messages]
    assert list(dict.fromkeys(told)) == names
    assert len(told) <= len(names) + kills and kills > 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--listen", "nonsense"], "HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "HOST:PORT"),
        (["--language", "fr"], "en, zh"),
        (["--link", "jaeger.example.org"], "{trace_id}"),
        (["--link", "https://jaeger.example.org/trace"], "{trace_id}"),
        (["--token-file", "/nowhere"], "cannot be read"),
        ([], "RELAY_TO"),
    ],
)
def test_wrong_use(tmp_path: Path, more: list[str], said: str) -> None:
    environ = {**os.environ, "RELAY_TOKEN": TOKEN, "XDG_STATE_HOME": str(tmp_path), "COLUMNS": "300"}
    ended = subprocess.run([*COMMAND, *more], capture_output=True, text=True, env=environ, check=False)
    assert ended.returncode == 2 and said in ended.stderr and "Traceback" not in ended.stderr


def test_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "RELAY_TOKEN"}
    ended = subprocess.run(
        COMMAND, capture_output=True, text=True, env={**environ, "XDG_STATE_HOME": str(tmp_path)}, check=False
    )
    assert ended.returncode == 2 and "There is no token" in ended.stderr

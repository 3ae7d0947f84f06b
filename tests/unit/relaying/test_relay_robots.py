# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Robots of groups: what they are sent, what their answers mean, and that no error has their key in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from otel_tts.relaying import places
from otel_tts.relaying.place import Refused, Unreached

TOKEN, SECRET = "dingtoken42", "SECdingsecret42"


class DingTalk(ThreadingHTTPServer):
    """DingTalk's robot with a signature, and other servers that say `answer` to all."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, bytes] | None = None
        self.taken: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def judge(self, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer
        stamp = query.get("timestamp", ["0"])[0]
        digest = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
        if query.get("access_token") != [TOKEN]:
            code = 300001
        elif abs(int(stamp) / 1000 - time.time()) > 3600 or query["sign"] != [base64.b64encode(digest).decode()]:
            code = 310000
        else:
            code = 0
            self.taken.append(json.loads(body))
        return 200, json.dumps({"errcode": code, "errmsg": ""}).encode()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = self.server.judge(parse_qs(urlsplit(self.path).query), body)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Location", "/cgi-bin/webhook/send?key=elsewhere")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def ding() -> Iterator[DingTalk]:
    server = DingTalk()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(url: str, text: str = "a\nb") -> None:
    places.read(url)[0].sender.send("title", text)


def test_dingtalk_is_signed_and_keeps_its_lines(ding: DingTalk) -> None:
    send(f"{ding.url}/robot/send?access_token={TOKEN}&secret={SECRET}")
    assert ding.taken == [{"msgtype": "markdown", "markdown": {"title": "title", "text": "a  \nb"}}]


@pytest.mark.parametrize(("query", "code"), [("access_token=x", 300001), (f"access_token={TOKEN}&secret=y", 310000)])
def test_dingtalk_refuses_with_status_200(ding: DingTalk, query: str, code: int) -> None:
    with pytest.raises(Refused, match=f"errcode {code}") as raised:
        send(f"{ding.url}/robot/send?{query}")
    assert not raised.value.for_good


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""), (200, b"{"), (200, b"[]"), (200, b"{}"), (200, b'{"errcode":"0"}'), (200, b'{"errcode":null}'),
        (200, b"<html>"), (500, b'{"errcode":0}'), (302, b'{"errcode":0}'), (404, b""), (429, b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/cgi-bin/webhook/send?key=verysecret", "/robot/send?access_token=verysecret"])
def test_what_is_no_robots_answer_is_no_success(ding: DingTalk, answer: tuple[int, bytes], path: str) -> None:
    ding.answer = answer
    with pytest.raises(Unreached) as raised:
        send(ding.url + path)
    assert "verysecret" not in str(raised.value) and str(ding.server_port) not in str(raised.value)


def test_nobody_there(ding: DingTalk) -> None:
    for host in ("127.0.0.1:9", "nowhere.invalid"):
        with pytest.raises(Unreached) as raised:
            send(f"http://{host}/cgi-bin/webhook/send?key=verysecret")
        assert "verysecret" not in str(raised.value)

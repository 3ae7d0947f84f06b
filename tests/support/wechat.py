# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""WeChat Work, as far as alerts need it: an application's messages and a group's robot, with what they refuse.

As https://developer.work.weixin.qq.com/document/path/90236 (application) and /91770 (robot) say: the status is always
200, `errcode` says how it went; sizes are bytes of UTF-8, not letters; a token ends, a robot takes 20 a minute.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

OK, WRONG_SECRET, WRONG_CORP, NO_TOKEN, WRONG_TOKEN, EXPIRED = 0, 40001, 40013, 41001, 40014, 42001
WRONG_AGENT, NOBODY, TOO_LONG, TOO_OFTEN, WRONG_KEY, WRONG_FORM, WRONG_TYPE = (
    40056,
    81013,
    40058,
    45009,
    93000,
    47001,
    40008,
)

LIMITS = {
    ("application", "text"): 2048,
    ("application", "markdown"): 2048,
    ("robot", "text"): 2048,
    ("robot", "markdown"): 4096,
}
"""Most bytes of a message's content."""
A_MINUTE = {"application": 30, "robot": 20}
"""Most messages: of an application to one receiver, of a robot."""


@dataclass(frozen=True)
class Message:
    """What was taken: by the application or the robot, to whom, and the text."""

    by: str
    to: str
    kind: str
    content: str


@dataclass
class WeChatWork:
    """A company with one application and one robot. Use it as a context; `url` is its address without a path.

    It may be left and entered again, and is at the same address then: a service that was down.
    """

    corp_id: str = "ww0123456789abcdef"
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    agent_id: str = "1000002"
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    expires_in: float = 7200.0
    now: Callable[[], float] = time.monotonic
    messages: list[Message] = field(default_factory=list[Message])
    refused: list[int] = field(default_factory=list[int])
    tokens: dict[str, float] = field(default_factory=dict[str, float])
    refuse_next: deque[int] = field(default_factory=deque[int])
    """Codes with which the next messages are refused, whatever they are."""
    port: int = 0

    def __enter__(self) -> WeChatWork:
        self._lock = threading.Lock()
        self._taken: dict[str, deque[float]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def expire(self) -> None:
        """Let every token end."""
        self.tokens = dict.fromkeys(self.tokens, self.now())

    def forget_rate(self) -> None:
        """As if a minute had passed."""
        self._taken.clear()

    def token(self, corp_id: str, secret: str) -> dict[str, Any]:
        """`gettoken`."""
        if corp_id != self.corp_id:
            return _said(WRONG_CORP)
        if secret != self.secret:
            return _said(WRONG_SECRET)
        token = secrets.token_hex(32)
        self.tokens[token] = self.now() + self.expires_in
        return {**_said(OK), "access_token": token, "expires_in": int(self.expires_in)}

    def application(self, token: str, body: dict[str, Any]) -> dict[str, Any]:
        """`message/send`."""
        if not token:
            return _said(NO_TOKEN)
        if token not in self.tokens:
            return _said(WRONG_TOKEN)
        if self.tokens[token] <= self.now():
            return _said(EXPIRED)
        if str(body.get("agentid")) != self.agent_id:
            return _said(WRONG_AGENT)
        to = "|".join(str(body[one]) for one in ("touser", "toparty", "totag") if body.get(one))
        return _said(NOBODY) if not to else self._take("application", to, body)

    def robot(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """`webhook/send`."""
        return _said(WRONG_KEY) if key != self.key else self._take("robot", "group", body)

    def _take(self, by: str, to: str, body: dict[str, Any]) -> dict[str, Any]:
        kind = str(body.get("msgtype"))
        if (by, kind) not in LIMITS:
            return _said(WRONG_TYPE)
        content = body.get(kind, {}).get("content")
        if not isinstance(content, str) or not content:
            return _said(WRONG_FORM)
        if len(content.encode()) > LIMITS[by, kind]:
            return _said(TOO_LONG)
        with self._lock:
            if self.refuse_next:
                return _said(self.refuse_next.popleft())
            lately = self._taken.setdefault(f"{by} {to}", deque())
            while lately and lately[0] <= self.now() - 60:
                lately.popleft()
            if len(lately) >= A_MINUTE[by]:
                return _said(TOO_OFTEN)
            lately.append(self.now())
            self.messages.append(Message(by, to, kind, content))
        return _said(OK)


def _said(code: int) -> dict[str, Any]:
    return {"errcode": code, "errmsg": "ok" if code == OK else f"refused ({code})"}


def _handler(company: WeChatWork) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked, query = self._asked()
            if asked == "/cgi-bin/gettoken":
                self._answer(company.token(query.get("corpid", ""), query.get("corpsecret", "")))
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            asked, query = self._asked()
            text = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                body = json.loads(text)
            except ValueError:
                body = None
            if not isinstance(body, dict):
                self._answer(_said(WRONG_FORM))
            elif asked == "/cgi-bin/message/send":
                self._answer(company.application(query.get("access_token", ""), body))
            elif asked == "/cgi-bin/webhook/send":
                self._answer(company.robot(query.get("key", ""), body))
            else:
                self.send_error(404)

        def _asked(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}

        def _answer(self, said: dict[str, Any]) -> None:
            if said["errcode"] != OK:
                company.refused.append(said["errcode"])
            text = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json; charset=UTF-8")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The web hook: Alertmanager's groups by POST with a token, the relay's figures by GET without."""

from __future__ import annotations

import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

from otel_tts import names
from otel_tts.relaying.alerts import WrongPayload, parse
from otel_tts.relaying.relay import Relay
from otel_tts.relaying.spool import Full

HOOK: Final = "/alertmanager"
LARGEST: Final = 1_000_000
"""Bytes of a body that is read."""

_AT_ONCE: Final = 32


class Server(ThreadingHTTPServer):
    """Listens at `address`; each request is answered on a thread, so many at once. Raises OSError for a taken port."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], relay: Relay, token: str) -> None:
        self._relay, self._token = relay, f"Bearer {token}".encode()
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def is_known(self, said: str | None) -> bool:
        """Whether a caller's Authorization is ours; it takes as long for each wrong one."""
        return hmac.compare_digest((said or "").encode("utf-8", "replace"), self._token)

    def refuse(self, reason: str) -> None:
        """Count what was not taken."""
        self._relay.counts.add(names.RELAY_REFUSED, reason)

    def take(self, body: bytes) -> None:
        """Keep what a body holds. Raises WrongPayload, Full."""
        self._relay.take(parse(body))

    def page(self) -> bytes:
        """The figures for Prometheus."""
        return self._relay.page().encode()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Let nobody hold all threads there are: who is one too many is hung up on, and Alertmanager tries again."""
        if not self._room.acquire(blocking=False):
            self.refuse("busy")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then let the next in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is none to speak of."""


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "otel-tts", ""
    timeout = 10

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, cast(Server, self.server).page(), "text/plain; version=0.0.4; charset=utf-8")
        elif self.path == "/-/ready":
            self._answer(200, b"ready\n")
        else:
            self._answer(404, b"nothing here\n")

    def do_POST(self) -> None:
        server = cast(Server, self.server)
        if self.path != HOOK:
            return self._answer(404, f"POST {HOOK}\n".encode())
        if not server.is_known(self.headers.get("Authorization")):
            return self._refuse("token", 401, "not the relay's bearer token")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self._refuse("form", 411, "the body's length is not given")
        if int(length[:20]) > LARGEST:
            return self._refuse("size", 413, f"the body is larger than {LARGEST} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return self._refuse("form", 400, "the body breaks off")
        try:
            server.take(body)
        except WrongPayload as error:
            return self._refuse("form", 400, f"not Alertmanager's web hook: {error}")
        except Full as error:
            return self._refuse("full", 503, str(error))
        return self._answer(200, b"taken\n")

    def _refuse(self, reason: str, status: int, why: str) -> None:
        cast(Server, self.server).refuse(reason)
        self.close_connection = True
        self._answer(status, f"{why}\n".encode())

    def _answer(self, status: int, content: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: whoever asks can write what he likes into an address."""

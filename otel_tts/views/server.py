# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The page on this machine: 127.0.0.1 only, read-only, under a random address, for no other page to ask.

A page from elsewhere that a browser has open cannot guess the address, is not asked by another name (the Host header is
checked, so a name that was turned to 127.0.0.1 leads nowhere), and is told nothing (there are no CORS headers).
"""

from __future__ import annotations

import json
import re
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from otel_tts.causes.ask import Overview
from otel_tts.readers.stores import LogStore, TraceStore
from otel_tts.views import page
from otel_tts.views.printable import readable

_HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip


class PageServer(ThreadingHTTPServer):
    """Serves the page for `found` at `address`; the traces come out of the stores when they are looked at."""

    daemon_threads = True

    def __init__(self, found: Overview, traces: TraceStore, logs: LogStore | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._token = secrets.token_urlsafe(24)
        self._page = page.listed(found).encode()
        self._known = {one.trace_id for one in found.requests}
        self._period = found.period
        self._traces, self._logs = traces, logs

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/{self._token}/"

    def is_host(self, host: str | None) -> bool:
        """Whether this server is asked by a name of its own."""
        return host in (f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}")

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """The type and content of what is at `path`, None where nothing is."""
        parts = re.fullmatch(r"/([^/]*)/(.*)", path)
        if parts is None or not secrets.compare_digest(parts[1].encode(), self._token.encode()):
            return None
        if not parts[2]:
            return "text/html; charset=utf-8", self._page
        asked = re.fullmatch(r"trace/([0-9a-f]{32})", parts[2])
        if asked is None or asked[1] not in self._known:
            return None
        spans = self._traces.get(asked[1]).items
        found = {"requests": page.requests_of(spans, self._logs, self._period)}
        return "application/json", json.dumps(readable(found), allow_nan=False).encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is none to speak of."""


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "otel-tts", ""
    timeout = 30

    def do_GET(self) -> None:
        server = cast(PageServer, self.server)
        if not server.is_host(self.headers.get("Host")):
            return self._send(403, "text/plain", b"asked by another name\n")
        found = server.answer(self.path)
        return self._send(404, "text/plain", b"nothing here\n") if found is None else self._send(200, *found)

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address is a secret."""

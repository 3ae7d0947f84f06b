# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers as Datadog's agent does, as far as its tracer needs: it takes traces and counts them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ENDPOINTS = ["/v0.4/traces", "/v0.5/traces"]


class Agent:
    """Runs on a free port of 127.0.0.1, in a thread, while the block runs."""

    def __init__(self) -> None:
        self.traces = self.bytes = 0
        self._lock = threading.Lock()
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer({"version": "7.60.0", "endpoints": _ENDPOINTS, "client_drop_p0s": False})

            def do_POST(self) -> None:
                body = self._body()
                if self.path in _ENDPOINTS:
                    agent._take(int(self.headers.get("X-Datadog-Trace-Count") or 0), len(body))
                self._answer({"rate_by_service": {"service:,env:": 1.0}})

            do_PUT = do_POST

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts: list[bytes] = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def _answer(self, answer: object) -> None:
                payload = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Agent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def env(self) -> dict[str, str]:
        """What tells the tracer to send here, and to do nothing beside."""
        return {
            "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{self._server.server_address[1]}",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        }

    def _take(self, traces: int, size: int) -> None:
        with self._lock:
            self.traces += traces
            self.bytes += size

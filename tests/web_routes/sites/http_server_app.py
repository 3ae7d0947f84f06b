# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from speaking import WAYS


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, way, said = self.path.split("/")
        audio = WAYS[way](said)
        self.send_response(200)
        self.send_header("content-type", "audio/wav")
        self.send_header("content-length", str(len(audio)))
        self.end_headers()
        self.wfile.write(audio)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()

#!/bin/sh
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# opentelemetry-exporter-otlp-proto-http 1.45.1: a redirect is a success.
#
# A server that moved to https, or wants a slash at the end, answers a POST with 301, 302, 307 or 308. The exporter does
# not follow (requests with allow_redirects=False) and takes every status from 200 to 399 for a success: export() returns
# SUCCESS, nothing is logged, nothing is tried again, and the spans are gone. The protocol allows success for 2xx only.
#
# Seen on 2026-11-30, Python 3.11: for each of the four statuses SUCCESS, one request, none at the new address.
# Ends with 1 when that changes.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    opentelemetry-sdk==1.45.1 opentelemetry-exporter-otlp-proto-http==1.45.1

"$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider

paths, said = [], []


class Moved(BaseHTTPRequestHandler):
    def do_POST(self):
        paths.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status if self.path == "/v1/traces" else 200)
        self.send_header("Location", "/new/v1/traces")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Keep(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("opentelemetry").addHandler(Keep())
server = HTTPServer(("127.0.0.1", 0), Moved)
threading.Thread(target=server.serve_forever, daemon=True).start()
span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s")
span.end()
for status in (301, 302, 307, 308):
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{server.server_port}/v1/traces", timeout=5)
    result = exporter.export([span])
    exporter.shutdown()
    print(f"{status}: {result.name}, requests {paths}, logged {said}")
    if (result.name, paths, said) != ("SUCCESS", ["/v1/traces"], []):
        sys.exit("changed: a redirect is no success any more, or it is followed, or said")
    paths.clear()
PYTHON

#!/usr/bin/env bash
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# Collector components 0.158.0: what the file exporter writes, read back by the receiver otlp_json_file (otlpjsonfile).
#
# Expected: the receiver reads what the exporter beside it wrote, or says that it could not.
# Seen: a batch whose line is longer than `max_log_size` (1 MiB by default; 2500 small spans are enough) is cut into
# pieces, none of which is JSON; each is dropped. Nothing is logged at the level info, warn or error, and the receiver's
# own metrics count nothing as refused or failed: the line is simply not there. With max_log_size: 64MiB it is.
#
# Needs Go 1.26, once about three minutes, and python3. Ends with 0 while it is so.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >builder.yaml <<'YAML'
dist: {name: collector, output_path: built, version: 0.158.0}
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.158.0
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/receiver/otlpjsonfilereceiver v0.158.0
exporters:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter v0.158.0
YAML
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off
go run go.opentelemetry.io/collector/cmd/builder@v0.158.0 --config builder.yaml >build.log 2>&1 ||
  { tail -n 5 build.log; exit 2; }

cat >ask.py <<'PYTHON'
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request

COUNT = 2500


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(case, otlp, metrics, limit):
    reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": metrics}}}}
    read = {"include": [f"{case}-written.jsonl"], "start_at": "beginning", **limit}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}, "otlp_json_file": read},
        "exporters": {
            "file/written": {"path": f"{case}-written.jsonl", "flush_interval": "100ms"},
            "file/read": {"path": f"{case}-read.jsonl", "flush_interval": "100ms"},
        },
        "service": {
            "pipelines": {
                "traces/write": {"receivers": ["otlp"], "exporters": ["file/written"]},
                "traces/read": {"receivers": ["otlp_json_file"], "exporters": ["file/read"]},
            },
            "telemetry": {"metrics": {"readers": [reader]}},
        },
    }


def send(otlp):
    now = time.time_ns()
    spans = [
        {
            "traceId": secrets.token_hex(16),
            "spanId": secrets.token_hex(8),
            "name": "span",
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 1000),
            "attributes": [{"key": "what", "value": {"stringValue": "x" * 300}}],
        }
        for _ in range(COUNT)
    ]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{otlp}/v1/traces", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).read()


def spans(path):
    with open(path) as file:
        return file.read().count('"spanId"')


def wait_for(port):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("it does not listen")


for case, limit in {"default": {}, "64MiB": {"max_log_size": "64MiB"}}.items():
    otlp, metrics = free(), free()
    with open(f"{case}.json", "w") as file:
        json.dump(configuration(case, otlp, metrics, limit), file)
    with open(f"{case}.log", "w") as log:
        collector = subprocess.Popen(["./built/collector", "--config", f"{case}.json"], stdout=log, stderr=log)
    try:
        wait_for(otlp), wait_for(metrics)
        send(otlp)
        until = time.monotonic() + 10
        while time.monotonic() < until and spans(f"{case}-read.jsonl") < COUNT:
            time.sleep(0.2)
        assert os.path.getsize(f"{case}-written.jsonl") > 2**20
        told = urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30).read().decode()
    finally:
        collector.terminate()
        collector.wait()
    lost = re.findall(r"^otelcol_receiver_(?:refused|failed)_spans.*otlp_json_file.* (\S+)$", told, re.MULTILINE)
    with open(f"{case}.log") as log:
        complaints = sum("\twarn\t" in line or "\terror\t" in line for line in log)
    print(f"{case}: {spans(f'{case}-written.jsonl')} spans written, {spans(f'{case}-read.jsonl')} read,", end=" ")
    print(f"{sum(map(float, lost)):.0f} counted as lost, {complaints} warnings and errors")
PYTHON
python3 ask.py | tee seen
diff seen - <<'SEEN'
default: 2500 spans written, 0 read, 0 counted as lost, 0 warnings and errors
64MiB: 2500 spans written, 2500 read, 0 counted as lost, 0 warnings and errors
SEEN
echo "as described"

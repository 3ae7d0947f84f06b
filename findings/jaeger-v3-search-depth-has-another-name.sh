#!/usr/bin/env bash
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# Jaeger 1.76.0 (which is Jaeger 2) and how many traces a search returns: GET /api/v3/traces.
#
# Expected: the parameters are the fields of TraceQueryParameters in its api_v3 protocol, so `query.search_depth` is the
# number of traces, as it is over gRPC.
# Seen: over HTTP that parameter is not read at all; the gateway knows it as `query.num_traces`. Which of the two was
# given can only be told from the number of traces. With badger a search without it stops at 100 and says nothing, so of
# 150 traces a third is missing from an answer with status 200; with the memory store it is an error 500 ("search depth
# must be greater than 0 …") although a search depth was given.
#
# Needs Go 1.26, once about three minutes, and python3. Ends with 0 while it is so.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'GO'
module finding

go 1.26

require github.com/jaegertracing/jaeger v1.76.0

replace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0
GO
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off
go build -trimpath -buildvcs=false -ldflags='-s -w' -o jaeger github.com/jaegertracing/jaeger/cmd/jaeger >build.log 2>&1 ||
  { tail -n 5 build.log; exit 2; }

cat >ask.py <<'PYTHON'
import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

STORES = {"memory": {"memory": {"max_traces": 100000}}, "badger": {"badger": {"ephemeral": True}}}
COUNT = 150


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(store, query, otlp):
    listens = {"http": {"endpoint": f"127.0.0.1:{query}"}, "grpc": {"endpoint": f"127.0.0.1:{free()}"}}
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"logs": {"level": "fatal"}, "metrics": {"level": "none"}},
        },
        "extensions": {
            "jaeger_query": {"storage": {"traces": "it"}, "enable_tracing": False, **listens},
            "jaeger_storage": {"backends": {"it": STORES[store]}},
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "it"}},
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
        }
        for _ in range(COUNT)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "finding"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{otlp}/v1/traces", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).read()


def ask(query, parameter):
    moments = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + shift)) for shift in (-3600, 3600))
    asked = {"query.service_name": "finding", parameter: COUNT}
    asked |= dict(zip(("query.start_time_min", "query.start_time_max"), moments))
    try:
        address = f"http://127.0.0.1:{query}/api/v3/traces?{urllib.parse.urlencode(asked)}"
        found = json.load(urllib.request.urlopen(address, timeout=30))["result"]["resourceSpans"]
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    return len({s["traceId"] for one in found for scope in one["scopeSpans"] for s in scope["spans"]})


def wait_for(port):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("it does not listen")


for store in STORES:
    query, otlp = free(), free()
    with open("jaeger.json", "w") as file:
        json.dump(configuration(store, query, otlp), file)
    server = subprocess.Popen(["./jaeger", "--config", "jaeger.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(otlp), wait_for(query)
        send(otlp)
        time.sleep(1)
        for parameter in ("query.search_depth", "query.num_traces"):
            print(f"{store}, {parameter}={COUNT}: {ask(query, parameter)}")
    finally:
        server.terminate()
        server.wait()
PYTHON
python3 ask.py | tee seen
diff seen - <<'SEEN'
memory, query.search_depth=150: status 500
memory, query.num_traces=150: 150
badger, query.search_depth=150: 100
badger, query.num_traces=150: 150
SEEN
echo "as described"

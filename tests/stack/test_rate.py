# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""So many requests a second, seven spans each, through SDK, Collector and stores: each is in all three of them.

OTEL_TTS_RATE and OTEL_TTS_RATE_SECONDS are the size; `make soak` takes 500 for 60 s.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from conftest import Backends

RATE = int(os.environ.get("OTEL_TTS_RATE", "100"))
SECONDS = int(os.environ.get("OTEL_TTS_RATE_SECONDS", "3"))
REQUESTS = RATE * SECONDS
NAME = "at-a-rate"
SERVICE = """
import sys, time
import numpy, otel_tts
from opentelemetry import trace

rate, requests = int(sys.argv[1]), int(sys.argv[2])
otel_tts.configure(service_name=sys.argv[3])
tone = numpy.sin(numpy.arange(1600) / 10) * 0.3
tracer = trace.get_tracer("web")
began = time.monotonic()
for number in range(requests):
    if (early := began + number / rate - time.monotonic()) > 0:
        time.sleep(early)
    with tracer.start_as_current_span("POST", kind=trace.SpanKind.SERVER):
        with otel_tts.synthesis("m", engine="own", text="hello") as synthesis:
            for stage in ("text_frontend", "reference_encode", "acoustic_model", "vocoder", "postprocess"):
                with otel_tts.stage(stage):
                    pass
            synthesis.audio(tone, 16000)
print(f"{requests / (time.monotonic() - began):.0f}")
"""


def run_service(endpoint: str, rate: int, requests: int, name: str = NAME) -> subprocess.CompletedProcess[str]:
    """Let a service speak at the rate; it prints the rate that it was, and complains where it has lost something."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TTS_LOG_FORMAT": "none", "OTEL_TTS_SHUTDOWN_TIMEOUT": "60",
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
    }  # fmt: skip
    command = [sys.executable, "-c", SERVICE, str(rate), str(requests), name]
    return subprocess.run(
        command, env=environ, text=True, capture_output=True, timeout=requests / rate * 20 + 120, check=True
    )


def speak(endpoint: str) -> str:
    """Speak at the rate; return the rate that it was, and fail where the service says that something is lost."""
    done = run_service(endpoint, RATE, REQUESTS)
    assert "dropped" not in done.stderr and "not been delivered" not in done.stderr, done.stderr
    return done.stdout.strip()


def traces(stack: Backends, since: float, name: str = NAME) -> int:
    """How many requests Jaeger has, asked second by second: it answers with whole traces."""
    found: set[str] = set()
    for second in range(int(time.time() - since) + 2):
        at = round((since + second) * 1e6)
        query = {"service": name, "operation": "POST", "start": at, "end": at + 10**6, "limit": 10**5}
        answer = httpx.get(f"{stack.jaeger}/api/traces", params=query, timeout=120).raise_for_status()
        found |= {one["traceID"] for one in answer.json()["data"] or () if len(one["spans"]) == 7}
    return len(found)


def lines(stack: Backends, name: str = NAME) -> int:
    query = {"query": f'service.name:="{name}" "REQ_SUCCESS" | count_uniq(request_id) as n'}
    answer = httpx.get(f"{stack.victorialogs}/select/logsql/query", params=query, timeout=120).raise_for_status()
    return int(answer.json()["n"])


def counted(stack: Backends) -> float:
    return sum(float(one["value"][1]) for one in stack.series(f'tts_requests_total{{job=~".*{NAME}"}}'))


def lost(stack: Backends) -> float:
    """What the Collector refused, or its exporters could not queue, in the time that Prometheus knows of."""
    whole = (
        r'sum({__name__=~"otelcol_(receiver_refused|exporter_enqueue_failed|exporter_send_failed)_.*"}) or vector(0)'
    )
    return float(stack.series(whole)[0]["value"][1])


class Queues(threading.Thread):
    """Looks at the queues of the Collector's exporters until it is told to end: how full each was at most."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._over = url, threading.Event()
        self.most: dict[str, int] = {}

    def run(self) -> None:
        while not self._over.wait(0.2):
            for exporter, size in self.sizes().items():
                self.most[exporter] = max(self.most.get(exporter, 0), size)

    def sizes(self) -> dict[str, int]:
        text = httpx.get(self._url, timeout=60).text
        found = re.findall(r'^otelcol_exporter_queue_size\{.*?exporter="([^"]+)".*?\} (\d+)', text, re.M)
        return {exporter: int(size) for exporter, size in found}

    def end(self) -> str:
        self._over.set()
        self.join()
        return ", ".join(f"{exporter} {size}" for exporter, size in sorted(self.most.items()))


def test_each_request_is_in_every_store(stack: Backends, eventually: Callable[..., Any]) -> None:
    before, since = lost(stack), time.time()
    queues = Queues(stack.stack.url("collector_metrics") + "/metrics")
    queues.start()
    rate = speak(stack.otlp_http)
    spoken = time.time()
    eventually(lambda: traces(stack, since) == REQUESTS, 180)
    eventually(lambda: lines(stack) == REQUESTS, 60)
    emptied = time.time() - spoken
    eventually(lambda: counted(stack) == REQUESTS, 60)
    print(f"{REQUESTS} requests at {rate} a second: in the stores {emptied:.1f} s later; bytes queued: {queues.end()}")
    assert lost(stack) == before

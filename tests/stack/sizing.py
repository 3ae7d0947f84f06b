# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The measured figures of docs/sizing.md: `python tests/stack/sizing.py`, two minutes, with the real servers.

A request is what IndexTTS-2's table makes of one: the synthesis, five stages, a server's span around it.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from otel_tts.stack import ports
from otel_tts.stack.run import Stack

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "integration")]
from otlp_sink import OtlpSink  # noqa: E402

ON_THE_WIRE, IN_STORES, WAITING = 2_000, 10_000, 5_000
SERVICE = """
import sys, time
import numpy, otel_tts
from opentelemetry import trace

otel_tts.configure(service_name="sizing")
tone = numpy.sin(numpy.arange(16000) / 10) * 0.3
tracer = trace.get_tracer("web")
for number in range(int(sys.argv[1])):
    with tracer.start_as_current_span("POST /v1/audio/speech", kind=trace.SpanKind.SERVER) as server:
        server.set_attribute("http.route", "/v1/audio/speech")
        server.set_attribute("http.request.method", "POST")
        server.set_attribute("http.response.status_code", 200)
        with otel_tts.synthesis("IndexTTS-2", engine="indextts", text="hello " * 12, voice="anna") as synthesis:
            for stage in ("text_frontend", "reference_encode", "acoustic_model", "vocoder", "postprocess"):
                with otel_tts.stage(stage):
                    pass
            synthesis.audio(tone, 16000)
    if number % 50 == 49:
        time.sleep(0.1)
"""


def speak(endpoint: str, requests: int) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_TTS_LOG_FORMAT": "none",
        "OTEL_TTS_VOICES": "anna",
        "OTEL_TTS_SHUTDOWN_TIMEOUT": "60",
    }
    subprocess.run([sys.executable, "-c", SERVICE, str(requests)], env=environment, check=True)


def on_the_wire() -> None:
    with OtlpSink() as sink:
        speak(sink.endpoint, ON_THE_WIRE)
        for signal in ("traces", "logs"):
            bodies = sink.bodies(signal)
            plain, packed = sum(map(len, bodies)), sum(len(gzip.compress(one)) for one in bodies)
            print(f"{signal}: {plain / ON_THE_WIRE:.0f} B a request, {packed / ON_THE_WIRE:.0f} B packed")
        bodies = sink.bodies("metrics")
        print(f"metrics: {len(bodies[-1])} B an export, {len(gzip.compress(bodies[-1]))} B packed")


def used(folder: Path) -> int:
    """Bytes that files take on the disk."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def in_stores() -> None:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.up(ports.free())
        try:
            time.sleep(3)
            places = {
                "jaeger": "jaeger",
                "victorialogs": "victorialogs",
                "archive": "archive",
                "prometheus": "prometheus",
            }
            before = {name: used(Path(folder) / place) for name, place in places.items()}
            pids = {status.server.name: psutil.Process(status.pid) for status in stack.status()}
            began = {name: sum(process.cpu_times()[:2]) for name, process in pids.items()}
            speak(stack.url("otlp_http"), IN_STORES)
            time.sleep(20)
            for name, place in places.items():
                print(f"{name}: {(used(Path(folder) / place) - before[name]) / IN_STORES:.0f} B a request on disk")
            for name, process in pids.items():
                spent = sum(process.cpu_times()[:2]) - began[name]
                resident = process.memory_info().rss / 2**20
                print(f"{name}: {1000 * spent / IN_STORES:.2f} ms CPU a request, {resident:.0f} MiB resident")
        finally:
            stack.down()


def waiting() -> None:
    from leaving import collector

    sampling = {"STACK_COLLECTOR": "sampling", "STACK_DECISION_WAIT": "600s", "STACK_KEEP_PERCENT": "0"}
    with tempfile.TemporaryDirectory() as folder, collector(Path(folder), **sampling) as sampler:
        process = psutil.Process(next(one.pid for one in sampler.stack.status() if one.server.name == "otelcol"))
        speak(sampler.stack.url("otlp_http"), 200)
        before = process.memory_info().rss
        speak(sampler.stack.url("otlp_http"), WAITING)
        time.sleep(3)
        print(f"sampler: {(process.memory_info().rss - before) / WAITING:.0f} B a trace that waits")


if __name__ == "__main__":
    on_the_wire()
    in_stores()
    waiting()

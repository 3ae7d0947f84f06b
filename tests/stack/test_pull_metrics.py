# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_METRICS_EXPORTER=prometheus: the real Prometheus asks, and has the names and labels that it has by OTLP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Backends

SERVICE = """
import sys
import numpy, otel_tts

otel_tts.configure(service_name=sys.argv[1])
tone = numpy.sin(numpy.arange(16000) / 10) * 0.3
for level in (1.0, 0.0, 9.0):
    with otel_tts.synthesis("IndexTTS-2", engine="own", text="purpleotter", voice="purpleotter") as synthesis:
        with otel_tts.stage("vocoder"):
            synthesis.set_attribute("tts.text", "purpleotter")
        synthesis.audio(tone * level, 16000)
print("spoken", flush=True)
sys.stdin.read()
"""
# What says who was asked, and by which way.
WAYS = {"job", "instance", "__name__"}


@pytest.fixture
def speak(stack: Backends) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`speak(name, exporter)`: a service that has spoken and waits; its metrics leave by that exporter."""
    running: list[subprocess.Popen[str]] = []

    def start(name: str, exporter: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
        environment |= {
            "OTEL_METRICS_EXPORTER": exporter,
            "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http,
            "OTEL_TTS_SCRAPE_DIR": str(stack.state / "scrape"),
            "OTEL_TTS_LOG_FORMAT": "none",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        running.append(subprocess.Popen([sys.executable, "-c", SERVICE, name], env=environment, text=True, **pipes))
        assert running[-1].stdout is not None
        assert running[-1].stdout.readline() == "spoken\n"
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.communicate()


def series(stack: Backends, service: str) -> dict[str, set[tuple[tuple[str, str], ...]]]:
    """The labels of each metric's series, but for which way they came and whose they are."""
    found: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    for one in stack.series(f'{{service_name="{service}"}}'):
        labels = one["metric"]
        kept = {name: value for name, value in labels.items() if name not in WAYS | {"service_name"}}
        kept["service_instance_id"] = "(one)" if kept.get("service_instance_id") else ""
        found.setdefault(labels["__name__"], set()).add(tuple(sorted(kept.items())))
    return found


def test_prometheus_has_the_same_by_asking(
    stack: Backends, speak: Callable[..., subprocess.Popen[str]], eventually: Callable[..., Any]
) -> None:
    pushed = speak("pushed", "otlp")
    asked = speak("asked", "prometheus")
    eventually(lambda: "tts_requests_total" in series(stack, "asked"))
    pushed.communicate("")
    eventually(lambda: "tts_requests_total" in series(stack, "pushed"))
    by_otlp = series(stack, "pushed")
    ours = {name for name in by_otlp if name.startswith(("tts_", "gpu_", "hw_", "otel_tts_"))}
    eventually(lambda: ours <= set(series(stack, "asked")))  # some are there from the second look on
    by_asking = series(stack, "asked")
    assert ours >= {"tts_requests_total", "tts_real_time_factor_bucket", "tts_request_duration_seconds_bucket"}
    assert {name: by_asking.get(name) for name in ours} == {name: by_otlp[name] for name in ours}
    others = {name for name in by_otlp if name.startswith(("process_", "cpython_", "system_"))}
    assert others
    assert others <= set(by_asking)
    assert "purpleotter" not in str(by_asking)
    asked.communicate("")
    assert not list(Path(stack.state / "scrape").glob("*.json")), "an address of a process that has ended"

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""LitServe runs the model in another process than the web server: both are one trace, with one id."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from conftest import CALLER, HERE, LAUNCHERS, PARENT, SAID, TRACE, environment, shape, syntheses, wait_for_port
from otlp_sink import OtlpSink


def test_a_request_is_one_trace_in_both_processes(
    sink: OtlpSink, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    command = [*LAUNCHERS["opentelemetry-instrument"], sys.executable, str(HERE / "litserve_service.py"), str(port)]
    server = start(command, environment(sink, tmp_path, OTEL_BSP_SCHEDULE_DELAY="500"))
    wait_for_port(port, server, 120)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for name, text in (("one", SAID), ("two", "broken"), ("three", "hello")):
            headers = {"traceparent": CALLER, "x-request-id": name}
            answer = client.post("/predict", json={"text": text}, headers=headers)
            assert answer.status_code == (500 if name == "two" else 200), (tmp_path / "output").read_text()
            assert answer.headers["x-request-id"] == name
    output = tmp_path / "output"
    sink.wait_for(lambda: len(sink.spans("text_to_speech sparrow")) == 2 and len(sink.spans("POST /predict")) == 3, 60)
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    served = {span.attributes["request_id"]: span for span in sink.spans("POST /predict")}
    for name in ("one", "three"):
        span = served[name]
        assert (span.kind, span.trace_id, span.parent_id) == ("SERVER", TRACE, PARENT), output.read_text()
        assert [each.attributes["request_id"] for each in syntheses(sink, span)] == [name]
        assert shape(sink, span) == [["tts.acoustic_model", "tts.vocoder"]]
    assert served["two"].attributes["http.response.status_code"] == 500
    assert SAID.encode() not in sink.raw_bytes()

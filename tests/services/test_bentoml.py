# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""BentoML has a tracer provider of its own, which samples nothing unless it is told to: ours are there all the same.

It is started by its own command, which starts the service in other processes. SIGTERM follows the last request at once.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from conftest import (
    CALLER,
    HERE,
    LATER,
    LAUNCHERS,
    LEFT,
    PARENT,
    SAID,
    TRACE,
    environment,
    hang_up,
    shape,
    syntheses,
    wait_for_line,
    wait_for_port,
)
from otlp_sink import OtlpSink

BENTOML = str(Path(sys.executable).with_name("bentoml"))


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_request_is_one_trace_down_to_the_vocoder(
    sink: OtlpSink, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, free_port: Callable[[], int],
    launcher: str,
) -> None:  # fmt: skip
    port = free_port()
    served_here = [BENTOML, "serve", "bentoml_service:Speech", "--host", "127.0.0.1", "--port", str(port)]
    env = environment(sink, tmp_path, **LATER, BENTOML_DO_NOT_TRACK="true", BENTOML_HOME=str(tmp_path))
    server = start([*LAUNCHERS[launcher], *served_here, "--working-dir", str(HERE)], env)
    wait_for_port(port, server, 120)
    output = tmp_path / "output"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for name, path, text in (("one", "speak", SAID), ("two", "speak", "broken"), ("three", "recite", SAID)):
            headers = {"traceparent": CALLER, "x-request-id": name}
            answer = client.post(f"/{path}", json={"text": text}, headers=headers)
            assert answer.status_code == (500 if name == "two" else 200), output.read_text()
            assert answer.headers["x-request-id"] == name
            if name != "two":
                assert len(answer.content) == 4 * 2400 * len(SAID if name == "one" else SAID.replace(" ", ""))
        hang_up(f"{client.base_url}/recite", "mid-stream", json={"text": f"{SAID} " * 200})
        hang_up(f"{client.base_url}/slow", "unanswered", begun=tmp_path / "spoken", json={"text": SAID})
        for name in LEFT:
            wait_for_line(output, f"REQ_FAIL request_id={name}")
        last = client.post("/speak", json={"text": "last"}, headers={"x-request-id": "last"})
        assert last.status_code == 200
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    served = {span.attributes["request_id"]: span for span in sink.spans() if span.kind == "SERVER"}
    assert served.keys() == {"one", "two", "three", *LEFT, "last"}, output.read_text()
    for name in ("one", "two", "three"):
        assert (served[name].trace_id, served[name].parent_id) == (TRACE, PARENT)
    assert served["two"].attributes["http.response.status_code"] == 500
    for name in ("one", "three", *LEFT, "last"):
        (spoken,) = syntheses(sink, served[name])
        outcome = "cancelled" if name in LEFT else "ok"
        assert (spoken.attributes["request_id"], spoken.attributes["tts.outcome"]) == (name, outcome)
    assert shape(sink, served["one"]) == [["tts.acoustic_model", "tts.vocoder"]]
    assert len(sink.spans("text_to_speech sparrow")) == 5
    lines = {log.attributes["request_id"] for log in sink.logs("REQ_SUCCESS") + sink.logs("REQ_FAIL")}
    assert lines >= {"one", "three", *LEFT, "last"}
    assert sum(point.value for point in sink.latest("tts.requests")) == 5
    assert SAID.encode() not in sink.raw_bytes()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""BentoML has a tracer provider of its own, which samples nothing unless it is told to: ours are there all the same.

It is started by its own command, which starts the service in other processes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from conftest import CALLER, HERE, LAUNCHERS, PARENT, SAID, TRACE, environment, shape, syntheses, wait_for_port
from otlp_sink import OtlpSink

BENTOML = str(Path(sys.executable).with_name("bentoml"))


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_request_is_one_trace_down_to_the_vocoder(
    sink: OtlpSink, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, free_port: Callable[[], int],
    launcher: str,
) -> None:  # fmt: skip
    port = free_port()
    served_here = [BENTOML, "serve", "bentoml_service:Speech", "--host", "127.0.0.1", "--port", str(port)]
    env = environment(
        sink, tmp_path, OTEL_BSP_SCHEDULE_DELAY="500", BENTOML_DO_NOT_TRACK="true", BENTOML_HOME=str(tmp_path)
    )
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
        last = client.post("/speak", json={"text": "last"}, headers={"x-request-id": "last"})
        assert last.status_code == 200
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    served = {span.attributes["request_id"]: span for span in sink.spans() if span.kind == "SERVER"}
    assert served.keys() == {"one", "two", "three", "last"}, output.read_text()
    for name in ("one", "two", "three"):
        assert (served[name].trace_id, served[name].parent_id) == (TRACE, PARENT)
    assert served["two"].attributes["http.response.status_code"] == 500
    for name in ("one", "three", "last"):
        (spoken,) = syntheses(sink, served[name])
        assert (spoken.attributes["request_id"], spoken.attributes["tts.outcome"]) == (name, "ok")
    assert shape(sink, served["one"]) == [["tts.acoustic_model", "tts.vocoder"]]
    assert len(sink.spans("text_to_speech sparrow")) == 3
    assert SAID.encode() not in sink.raw_bytes()

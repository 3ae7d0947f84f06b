# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""examples/openai_speech.py under the launcher."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import soundfile
from otlp_sink import OtlpSink
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

PATH = "/v1/audio/speech"


@pytest.fixture(scope="module")
def server(start: Callable[..., Server], free_ports: Callable[[], int]) -> Server:
    return start("uvicorn", "openai_speech:app", "--port", "{port}", port=free_ports())


def speak(server: Server, text: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    return post(server, PATH, json.dumps({"input": text, **more}).encode(), "application/json", headers)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_one_trace_in_the_callers(sink: OtlpSink, server: Server, stream: bool) -> None:
    answer = speak(server, SPOKEN, CALLER, stream=stream)
    assert answer.status == 200 and answer.headers["x-request-id"] == "of-the-caller"
    (synthesis,), (served,) = wait_for_syntheses(sink, 1), wait_for_servers(sink)
    assert (served.trace_id, served.parent_id, served.name) == (TRACE, PARENT, f"POST {PATH}")
    assert (synthesis.trace_id, synthesis.parent_id) == (TRACE, served.span_id)
    assert served.attributes["request_id"] == synthesis.attributes["request_id"] == "of-the-caller"
    assert synthesis.attributes["tts.outcome"] == "ok" and synthesis.attributes["tts.voice"] == "heart"
    assert synthesis.attributes["tts.text.length"] == len(SPOKEN)
    assert synthesis.attributes.get("tts.stream.chunks") == (2 if stream else None)
    made = ["acoustic_model", "vocoder"]
    assert stages(sink, synthesis) == ["text_frontend", *made * 2]
    if not stream:  # encoding after the engine belongs to the web request
        sink.wait_for(lambda: stages(sink, served) == ["postprocess"])
    frames = len(answer.body) // 2 if stream else len(soundfile.read(io.BytesIO(answer.body))[0])
    assert synthesis.attributes["tts.audio.duration"] == pytest.approx(frames / 24000)
    assert_unsaid(sink)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "long"])
def test_a_text_that_says_nothing_is_refused_and_seen(sink: OtlpSink, server: Server, kind: str, stream: bool) -> None:
    assert speak(server, BAD[kind], stream=stream).status == 422
    (synthesis,), (served,) = wait_for_syntheses(sink, 1), wait_for_servers(sink)
    assert synthesis.parent_id == served.span_id and served.attributes["http.response.status_code"] == 422
    assert synthesis.attributes["tts.outcome"] == "anomalous"
    assert synthesis.attributes["tts.audio.anomaly"] == ["empty"]
    assert_unsaid(sink, [BAD[kind]] * (kind in ("emoji", "right to left")))


@pytest.mark.parametrize(("text", "status"), [(BAD["long"], 422), ("\ud800", 422)])
def test_what_does_not_reach_the_engine_is_no_synthesis(sink: OtlpSink, server: Server, text: str, status: int) -> None:
    refused = speak(server, text)
    speak(server, SPOKEN)
    (synthesis,) = wait_for_syntheses(sink, 1)
    served = wait_for_servers(sink, 2)
    assert refused.status == status or text == "\ud800"
    assert synthesis.attributes["tts.text.length"] == len(SPOKEN)
    assert len({span.trace_id for span in served}) == 2
    assert_unsaid(sink)


def test_a_client_that_hangs_up_has_cancelled(sink: OtlpSink, server: Server) -> None:
    body = json.dumps({"input": (SPOKEN + " ") * 80, "stream": True}).encode()
    hang_up_after_the_first_bytes(server, PATH, body, "application/json")
    (synthesis,) = wait_for_syntheses(sink, 1)
    assert synthesis.attributes["tts.outcome"] == "cancelled" and synthesis.status == "UNSET"
    assert 1 <= synthesis.attributes["tts.stream.chunks"] < 160
    assert speak(server, SPOKEN).status == 200
    wait_for_syntheses(sink, 2)
    assert_unsaid(sink)

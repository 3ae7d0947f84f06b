# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own service and script, with no line of telemetry in them, started by the launcher."""

from __future__ import annotations

import http.client
import io
import itertools
import json
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from otlp_sink import OtlpSink, SinkSpan
from serving import Answer, Server

SERVICES = Path(__file__).parent / "services"
UVICORN = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"]
TEXT = "The ship sails at nine. Bring a warm coat, please."

Serve = Callable[..., Server]


@pytest.fixture
def piper(sink: OtlpSink, serve: Serve) -> Server:
    return serve((SERVICES / "piper_app.py").read_text(), UVICORN, sink.env())


def post(server: Server, path: str, request_id: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        headers = {"content-type": "application/json", "x-request-id": request_id}
        connection.request("POST", path, json.dumps({"text": TEXT}), headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def of_trace(sink: OtlpSink, span: SinkSpan) -> list[SinkSpan]:
    return sorted((other for other in sink.spans() if other.trace_id == span.trace_id), key=lambda other: other.start)


def synthesis_of(sink: OtlpSink, request_id: str) -> SinkSpan:
    (found,) = [span for span in sink.spans("text_to_speech piper") if span.attributes["request_id"] == request_id]
    return found


def check_stages(sink: OtlpSink, synthesis: SinkSpan) -> None:
    """Stages are children of their synthesis, inside it, one after the other."""
    stages = [span for span in of_trace(sink, synthesis) if "tts.stage" in span.attributes]
    made = [span for span in stages if span.name != "tts.postprocess"]
    assert [span.name for span in made] == ["tts.text_frontend", "tts.model", "tts.model"]
    for stage in made:
        assert stage.parent_id == synthesis.span_id
        assert synthesis.start <= stage.start <= stage.end <= synthesis.end
    for before, after in itertools.pairwise(made):
        assert before.end <= after.start


def test_each_request_is_a_trace_that_agrees_with_its_audio(sink: OtlpSink, piper: Server) -> None:
    spoken, encoded = post(piper, "/speak", "wav-1"), post(piper, "/flac", "flac-1")
    assert (spoken.status, encoded.status) == (200, 200)
    assert spoken.request_ids == ["wav-1"]
    assert piper.stop() == -signal.SIGTERM

    with wave.open(io.BytesIO(spoken.body)) as file:
        rate, frames, channels = file.getframerate(), file.getnframes(), file.getnchannels()
        samples = np.frombuffer(file.readframes(frames), "<i2") / 32767
    synthesis = synthesis_of(sink, "wav-1")
    facts = synthesis.attributes
    assert facts["tts.audio.duration"] == pytest.approx(frames / rate)
    assert (facts["tts.audio.sample_rate"], facts["tts.audio.channels"]) == (rate, channels)
    assert facts["tts.audio.peak"] == pytest.approx(np.abs(samples).max(), abs=2e-4)
    assert facts["tts.audio.rms"] == pytest.approx(np.sqrt((samples**2).mean()), rel=0.01)
    assert facts["tts.real_time_factor"] == pytest.approx(synthesis.seconds / (frames / rate), rel=0.1)
    assert facts["tts.text.length"] == len(TEXT)
    assert facts["tts.segment.count"] == 2
    assert facts["tts.outcome"] == "ok"
    assert facts["tts.cold_start"] is True
    check_stages(sink, synthesis)

    flac, rate = soundfile.read(io.BytesIO(encoded.body))
    synthesis = synthesis_of(sink, "flac-1")
    assert synthesis.attributes["tts.audio.duration"] == pytest.approx(len(flac) / rate)
    assert "tts.cold_start" not in synthesis.attributes
    check_stages(sink, synthesis)

    for path, request_id in (("/speak", "wav-1"), ("/flac", "flac-1")):
        synthesis = synthesis_of(sink, request_id)
        (server,) = [span for span in of_trace(sink, synthesis) if span.kind == "SERVER"]
        assert server.name == f"POST {path}"
        assert server.parent_id == ""
        assert server.attributes["request_id"] == request_id
        assert synthesis.parent_id == server.span_id
        assert server.start <= synthesis.start <= synthesis.end <= server.end
        (written,) = [span for span in of_trace(sink, synthesis) if span.name == "tts.postprocess"]
        assert written.parent_id in (server.span_id, synthesis.span_id)
        assert written.start >= synthesis.start and written.end <= server.end
        logs = [log for log in sink.logs() if log.attributes.get("request_id") == request_id]
        assert {"REQ_START", "REQ_SUCCESS"} <= {log.event_name for log in logs}
        assert {log.trace_id for log in logs if log.event_name.startswith("REQ_")} == {synthesis.trace_id}

    (load,) = sink.latest("tts.model.load.duration")
    assert (load.attributes["tts.engine.name"], load.count) == ("piper", 1)
    (requests,) = sink.latest("tts.requests")
    assert (requests.value, requests.attributes["tts.outcome"]) == (2, "ok")
    assert "Traceback" not in piper.stderr
    assert "contained" not in piper.stderr


def test_a_client_that_leaves_its_stream_leaves_one_cancelled_synthesis(sink: OtlpSink, piper: Server) -> None:
    text = " ".join(f"This is sentence number {number} of a long story." for number in range(200))
    connection = http.client.HTTPConnection("127.0.0.1", piper.port, timeout=60)
    connection.request("GET", f"/stream?text={quote(text)}", headers={"x-request-id": "left"})
    response = connection.getresponse()
    assert len(response.read(1000)) == 1000
    connection.sock.close()
    response.close()
    connection.close()

    sink.wait_for(lambda: sink.spans("text_to_speech piper"))
    assert piper.stop() == -signal.SIGTERM
    synthesis = synthesis_of(sink, "left")
    assert synthesis.attributes["tts.outcome"] == "cancelled"
    assert synthesis.attributes["tts.stream"] is True
    assert 0 < synthesis.attributes["tts.audio.duration"] < 400
    assert synthesis.status != "ERROR"
    assert len(sink.spans("text_to_speech piper")) == 1
    assert [point.attributes["tts.outcome"] for point in sink.latest("tts.requests")] == ["cancelled"]
    assert "Failed to detach context" not in piper.stderr
    assert "contained" not in piper.stderr


def test_a_whole_stream_is_one_synthesis_with_its_first_byte(sink: OtlpSink, piper: Server) -> None:
    answer = piper.get(f"/stream?text={quote(TEXT)}", x_request_id="whole")
    assert piper.stop() == -signal.SIGTERM
    synthesis = synthesis_of(sink, "whole")
    facts = synthesis.attributes
    assert facts["tts.audio.duration"] == pytest.approx(len(answer.body) / 2 / 22050)
    assert facts["tts.stream.chunks"] == 2
    assert facts["tts.outcome"] == "ok"
    assert 0 < facts["tts.time_to_first_byte"] < facts["tts.time_to_first_audio"] + 1e-9
    check_stages(sink, synthesis)


def test_a_plain_script_is_traced_and_says_the_same(sink: OtlpSink, tmp_path: Path) -> None:
    def run(*launcher: str) -> tuple[str, bytes, str]:
        path = tmp_path / f"{len(launcher)}.wav"
        done = subprocess.run(
            [*launcher, sys.executable, str(SERVICES / "hibari_script.py"), str(path)],
            env=sink.env(), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return done.stdout, path.read_bytes(), done.stderr

    stdout, audio, _ = run()
    assert sink.paths() == []
    assert run("opentelemetry-instrument")[:2] == (stdout, audio)

    saved, streamed = sorted(sink.spans("text_to_speech hibari"), key=lambda span: span.start)
    with wave.open(str(tmp_path / "1.wav")) as file:
        assert saved.attributes["tts.audio.duration"] == pytest.approx(file.getnframes() / 24000)
    assert streamed.attributes["tts.audio.duration"] == pytest.approx(int(stdout) / 24000)
    for synthesis, stages in (
        (saved, {"tts.text_frontend": 1, "tts.acoustic_model": 2, "tts.vocoder": 2, "tts.postprocess": 1}),
        (streamed, {"tts.text_frontend": 1, "tts.acoustic_model": 2, "tts.vocoder": 2}),
    ):
        children = [span.name for span in of_trace(sink, synthesis) if span.parent_id == synthesis.span_id]
        assert {name: children.count(name) for name in children} == stages
        assert synthesis.parent_id == ""
        assert synthesis.attributes["tts.voice"] == "heart"
        assert synthesis.attributes["tts.outcome"] == "ok"

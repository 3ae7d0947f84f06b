# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How a stream ended stands behind its last byte, for who asks; nothing else of an answer is another one."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from otlp_sink import OtlpSink
from serving import Server

SITES = Path(__file__).parent / "sites"
sys.path.append(str(SITES))
BIN = Path(sys.executable).parent
LAUNCHER = [sys.executable, "-m", "otel_tts.cli.main", "run", "--"]


@dataclass
class Answer:
    """One answer over HTTP/2: `trailers` None where none came, `whole` unless the stream was reset."""

    head: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    trailers: dict[str, str] | None = None
    whole: bool = False


def ask(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask over HTTP/2 in the clear, with the small window that the protocol begins with."""
    client, answer = H2Connection(H2Configuration(header_encoding="utf-8")), Answer()
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        client.initiate_connection()
        head = {":method": method, ":path": path, ":scheme": "http", ":authority": "x", **headers}
        client.send_headers(1, list(head.items()), end_stream=True)
        connection.sendall(client.data_to_send())
        while piece := connection.recv(65536):
            for event in client.receive_data(piece):
                if isinstance(event, ResponseReceived):
                    answer.head = dict(event.headers)
                elif isinstance(event, DataReceived):
                    answer.body += event.data
                    client.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, TrailersReceived):
                    answer.trailers = dict(event.headers)
                elif isinstance(event, StreamReset):
                    return answer
                elif isinstance(event, StreamEnded):
                    answer.whole = True
                    return answer
            connection.sendall(client.data_to_send())
    return answer


@pytest.fixture
def start(sink: OtlpSink, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def begin(*launcher: str) -> Server:
        port = free_port()
        paths = os.pathsep.join([str(SITES), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = sink.env(PYTHONPATH=paths, HOME=str(tmp_path))
        command = [*launcher, str(BIN / "hypercorn"), "-b", f"127.0.0.1:{port}", "stream_app:app"]
        running.append(server := Server(command, env, tmp_path, port))
        server.wait_until_it_listens(60)
        return server

    yield begin
    for server in running:
        server.clean_up()


def test_how_a_stream_ended_stands_behind_its_last_byte(sink: OtlpSink, start: Callable[..., Server]) -> None:
    from stream_app import PIECE, PIECES

    bare, ours = start(), start(*LAUNCHER)
    for way, outcome in (("whole", "complete"), ("broken", "error")):
        asked = ask(ours.port, f"/{way}", te="trailers", **{"x-request-id": way})
        assert asked.trailers == {"x-tts-outcome": outcome} and asked.head["trailer"] == "x-tts-outcome"
        assert asked.whole and asked.head["x-request-id"] == way
        assert asked.body == PIECE.tobytes() * (PIECES if way == "whole" else PIECES // 2)
        silent = ask(ours.port, f"/{way}")
        assert silent.trailers is None and "trailer" not in silent.head and silent.whole
        assert silent.body == ask(bare.port, f"/{way}", te="trailers").body == asked.body
    assert sink.wait_for(lambda: len(sink.spans("text_to_speech sparrow")) == 4)
    told = {
        span.attributes["request_id"]: span.attributes["tts.outcome"] for span in sink.spans("text_to_speech sparrow")
    }
    assert (told["whole"], told["broken"]) == ("ok", "error")
    assert not sink.latest("otel_tts.faults")


@pytest.mark.parametrize(("path", "method"), [("/text", "GET"), ("/whole", "HEAD")])
def test_an_answer_without_speech_or_body_has_none(start: Callable[..., Server], path: str, method: str) -> None:
    bare, ours = start(), start(*LAUNCHER)
    expected, asked = (ask(server.port, path, method, te="trailers") for server in (bare, ours))
    assert (asked.trailers, asked.body, asked.whole) == (expected.trailers, expected.body, expected.whole)
    assert asked.trailers is None and "trailer" not in asked.head


def test_a_body_that_breaks_off_stays_broken_off(start: Callable[..., Server]) -> None:
    """An exception that leaves the application is told by the server, in its own way."""
    bare, ours = start(), start(*LAUNCHER)
    expected, asked = (ask(server.port, "/leaves", te="trailers") for server in (bare, ours))
    assert (asked.trailers, asked.whole) == (expected.trailers, expected.whole) and asked.trailers is None
    assert asked.body == expected.body

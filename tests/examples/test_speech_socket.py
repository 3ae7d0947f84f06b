# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""examples/speech_socket.py under the launcher: one connection, an utterance after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from otlp_sink import OtlpSink
from serving import Server
from traces import (
    BAD,
    CALLER,
    PARENT,
    SPOKEN,
    TRACE,
    assert_unsaid,
    stages,
    syntheses,
    wait_for_servers,
    wait_for_syntheses,
)
from websockets.sync.client import connect


@pytest.fixture(scope="module")
def server(start: Callable[..., Server], free_ports: Callable[[], int]) -> Server:
    return start("uvicorn", "speech_socket:app", "--port", "{port}", "--ws", "websockets-sansio", port=free_ports())


@contextmanager
def conversation(server: Server) -> Iterator[Any]:
    with connect(f"ws://127.0.0.1:{server.port}/speech", additional_headers=CALLER, open_timeout=60) as socket:
        yield socket


def say(socket: Any, text: str) -> tuple[bytes, dict[str, Any]]:
    """Return the utterance's audio and the message at its end."""
    socket.send(text)
    audio = b""
    while isinstance(message := socket.recv(timeout=60), bytes):
        audio += message
    return audio, json.loads(message)


def test_each_utterance_is_a_synthesis_of_its_own_in_the_connections_trace(sink: OtlpSink, server: Server) -> None:
    with conversation(server) as socket:
        answers = [say(socket, text) for text in (SPOKEN, "Dawnfall.", SPOKEN)]
    assert all(end == {"done": True, "seconds": len(audio) / 48000} for audio, end in answers)
    (served,) = wait_for_servers(sink)
    assert (served.trace_id, served.parent_id) == (TRACE, PARENT)
    assert served.attributes["request_id"] == "of-the-caller"
    made = wait_for_syntheses(sink, 3)
    assert [span.attributes["request_id"] for span in made] == [f"of-the-caller.{number}" for number in (1, 2, 3)]
    assert {(span.trace_id, span.parent_id) for span in made} == {(TRACE, served.span_id)}
    for synthesis, (audio, _), sentences in zip(made, answers, (2, 1, 2), strict=True):
        facts = synthesis.attributes
        assert facts["tts.outcome"] == "ok" and facts["tts.stream.chunks"] == sentences
        assert facts["tts.audio.duration"] == pytest.approx(len(audio) / 48000)
        assert stages(sink, synthesis) == ["text_frontend", *["acoustic_model", "vocoder"] * sentences]
        assert facts["tts.time_to_first_byte"] <= synthesis.seconds  # not since the connection began
    assert made[0].end <= made[1].start and made[1].end <= made[2].start
    assert_unsaid(sink)


@pytest.mark.parametrize("kind", ["control", "emoji", "right to left"])
def test_an_utterance_that_says_nothing_is_seen(sink: OtlpSink, server: Server, kind: str) -> None:
    with conversation(server) as socket:
        assert say(socket, BAD[kind]) == (b"", {"done": True, "seconds": 0.0})
    (synthesis,) = wait_for_syntheses(sink, 1)
    assert synthesis.attributes["tts.outcome"] == "anomalous"
    assert_unsaid(sink, [BAD[kind]] * (kind != "control"))


@pytest.mark.parametrize("kind", ["nothing", "long"])
def test_an_utterance_that_is_refused_is_none(sink: OtlpSink, server: Server, kind: str) -> None:
    with conversation(server) as socket:
        audio, end = say(socket, BAD[kind])
        assert not audio and "1 to 4096" in end["error"]
        say(socket, SPOKEN)
    wait_for_servers(sink)
    (synthesis,) = wait_for_syntheses(sink, 1)
    assert synthesis.attributes["tts.text.length"] == len(SPOKEN)


def test_a_client_that_goes_away_in_the_middle_has_cancelled(sink: OtlpSink, server: Server) -> None:
    with conversation(server) as socket:
        say(socket, SPOKEN)
        socket.send((SPOKEN + " ") * 80)
        assert isinstance(socket.recv(timeout=60), bytes)
    wait_for_servers(sink)
    whole, left = wait_for_syntheses(sink, 2)
    assert whole.attributes["tts.outcome"] == "ok" and left.attributes["tts.outcome"] == "cancelled"
    assert 1 <= left.attributes["tts.stream.chunks"] < 160
    with conversation(server) as socket:
        say(socket, SPOKEN)
    wait_for_syntheses(sink, 3)
    assert len(syntheses(sink)) == 3
    assert_unsaid(sink)

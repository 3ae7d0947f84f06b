# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading what an example's process sent."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Sequence
from typing import Any

from otlp_sink import OtlpSink, SinkSpan
from serving import Server

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "of-the-caller"}
SPOKEN = "Quincebread at dawnfall. Purpleotter whispers."
BAD = {
    "nothing": "",
    "control": "\x00\x07",
    "emoji": "\U0001f600\U0001f600",
    "right to left": "مرحبا",
    "long": "dawnfall " * 111_112,  # over 10^6 characters
}


def syntheses(sink: OtlpSink) -> list[SinkSpan]:
    """In the order of their start."""
    return sorted((span for span in sink.spans() if "tts.outcome" in span.attributes), key=lambda span: span.start)


def wait_for_syntheses(sink: OtlpSink, number: int) -> list[SinkSpan]:
    sink.wait_for(lambda: len(syntheses(sink)) >= number, timeout=60)
    return syntheses(sink)


def wait_for_servers(sink: OtlpSink, number: int = 1) -> list[SinkSpan]:
    def found() -> list[SinkSpan]:
        return [span for span in sink.spans() if span.kind == "SERVER"]

    sink.wait_for(lambda: len(found()) >= number, timeout=60)
    return found()


def stages(sink: OtlpSink, synthesis: SinkSpan) -> list[str]:
    """The synthesis's stages; encoding that comes after it is one of the web request's."""
    found = [span for span in sink.spans() if span.parent_id == synthesis.span_id and "tts.stage" in span.attributes]
    return [span.attributes["tts.stage"] for span in sorted(found, key=lambda span: span.start)]


def post(server: Server, path: str, body: bytes, kind: str, headers: dict[str, str] | None = None) -> Any:
    """Return the response, whole: its `status`, `headers` and `body`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", path, body, {"content-type": kind, **(headers or {})})
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        return response
    finally:
        connection.close()


def hang_up_after_the_first_bytes(server: Server, path: str, body: bytes, kind: str) -> bytes:
    """Read the beginning of the answer and reset the connection, as a closed browser tab does."""
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        seen = b""
        while b"\r\n\r\n" not in seen or len(seen.partition(b"\r\n\r\n")[2]) < 1000:
            piece = connection.recv(4096)
            assert piece, seen[:500]
            seen += piece
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return seen


def assert_unsaid(sink: OtlpSink, texts: Sequence[str] = (), words: Sequence[str] = ()) -> None:
    """Neither `SPOKEN`'s words, nor the texts, nor the words are in anything that was sent."""
    raw = sink.raw_bytes()
    assert b"tts.outcome" in raw
    for word in ("quincebread", "dawnfall", "purpleotter", "whispers", *words):
        assert word.encode() not in raw.lower()
    for text in texts:
        assert text.encode() not in raw

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One sentence, given to a real service in every way there is: none of its words is in any byte that leaves."""

from __future__ import annotations

import base64
import http.client
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from otlp_sink import OtlpSink
from serving import Server

APP = Path(__file__).parent / "services" / "talkative_app.py"
SENTENCE = "Purpleotter whispers quincebread at dawnfall"
OURS = re.compile(r"REQ_|STAGE_TIME|otel-tts|gate=")

Serve = Callable[..., Server]


def forms(text: str) -> Iterator[bytes]:
    """The sentence, its telling words, and what they look like encoded."""
    words = ("Purpleotter", "quincebread", "dawnfall")
    for piece in (text, *words):
        yield piece.lower().encode()
        yield piece.encode().hex().encode()
        yield piece.encode("utf-16-le").lower()
    yield quote(text).lower().encode()
    yield quote_plus(text).lower().encode()
    for shift in range(3):  # where a base64 group begins depends on what stands before
        encoded = base64.b64encode(b"x" * shift + text.encode())
        yield encoded[4:-4].lower()


def leaks(data: bytes) -> list[bytes]:
    return [form for form in forms(SENTENCE) if form in data.lower()]


def test_the_search_finds_the_sentence() -> None:
    for data in (SENTENCE.encode(), quote(SENTENCE).encode(), base64.b64encode(b"text=" + SENTENCE.encode())):
        assert leaks(b"before " + data + b" after")
    assert not leaks(b"nothing of it")


def ask(server: Server, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": f"vendor={SENTENCE}",
        "baggage": f"text={quote(SENTENCE)}",
        "x-request-id": SENTENCE,
        "user-agent": SENTENCE,
        "cookie": f"text={quote(SENTENCE)}",
        "referer": f"http://localhost/{quote(SENTENCE)}",
        "text": SENTENCE,
    }
    try:
        connection.request("GET", f"{path}/{quote(SENTENCE)}?text={quote_plus(SENTENCE)}", headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_no_word_of_the_sentence_leaves(sink: OtlpSink, serve: Serve, log_format: str) -> None:
    server = serve(APP.read_text(), ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"],
                   sink.env(OTEL_TTS_LOG_FORMAT=log_format))  # fmt: skip
    asked = [ask(server, path) for path in ("/speak", "/own", "/fail", "/broken", "/missing")]
    assert asked == [200, 200, 500, 500, 404]
    assert server.stop() == -signal.SIGTERM

    assert len([span for span in sink.spans() if span.kind == "SERVER"]) == 5
    assert len([span for span in sink.spans() if "tts.outcome" in span.attributes]) == 4
    assert sink.logs() and sink.points()
    assert leaks(sink.raw_bytes()) == []
    ours = [line for line in server.stderr.splitlines() if OURS.search(line)]
    assert any("REQ_" in line for line in ours)
    assert [line for line in ours if leaks(line.encode())] == []

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a real server sends is what the span says: its size, its format, and that it lacks its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from otlp_sink import OtlpSink
from serving import Server

SERVICE = Path(__file__).parent / "services" / "answering_app.py"
UVICORN = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"]


def test_a_span_says_what_was_sent(sink: OtlpSink, serve: Callable[..., Server]) -> None:
    server = serve(SERVICE.read_text(encoding="utf-8"), UVICORN, sink.env())
    sent = {name: server.get(f"/{name}", x_request_id=name) for name in ("whole", "cut", "file", "stream")}
    server.stop()
    spans = {span.attributes["request_id"]: span for span in sink.spans() if span.name.startswith("text_to_speech")}
    for name, answer in sent.items():
        facts = spans[name].attributes
        assert answer.status == 200
        assert facts["tts.audio.size"] == len(answer.body), name
        assert facts["tts.audio.format"] == ("wav" if name == "stream" else "ogg")
        broken = name in ("cut", "file")
        assert facts["tts.outcome"] == ("anomalous" if broken else "ok"), name
        assert ("truncated" in facts.get("tts.audio.anomaly", ())) == broken
        assert [event.name for event in spans[name].events].count("tts.audio.file") == 1
    assert b"purple-otter" not in sink.raw_bytes()

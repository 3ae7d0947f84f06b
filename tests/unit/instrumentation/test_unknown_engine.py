# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An engine without a table behind a web service: its model's runs are a synthesis where audio is answered with."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import otel_tts
from otel_tts import names
from otel_tts.testing import Telemetry

TONE = (8000 * np.sin(np.arange(4800) / 20)).astype("<i2").tobytes()


def encode(samples: bytes = TONE) -> bytes:
    with wave.open(file := io.BytesIO(), "wb") as writer:
        writer.setparams((1, 2, 24000, 0, "NONE", ""))
        writer.writeframes(samples)
    return file.getvalue()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry() as seen:
        yield seen


@pytest.fixture
def ask(tts: Any, telemetry: Telemetry) -> Any:
    """`ask(path)` is the answer of a service that runs a model of its own, twice a request."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(tts.model_path, providers=["CPUExecutionProvider"])
    feed = {"ids": np.array([tts.ids("həlˈO.")], np.int64), "speed": np.array([1.0], np.float32)}
    telemetry.launch()

    def work() -> bytes:
        session.run(None, feed)
        session.run(None, feed)
        return encode()

    def stream() -> Iterator[bytes]:
        audio = work()
        yield audio[:100]
        yield audio[100:]

    def own(_: Any) -> Response:
        with otel_tts.synthesis("mine"):
            audio = work()
        session.run(None, feed)
        return Response(audio, media_type="audio/wav")

    app = Starlette(
        routes=[
            Route("/speech", lambda _: Response(work(), media_type="audio/wav")),
            Route("/stream", lambda _: StreamingResponse(stream(), media_type="audio/wav")),
            Route("/words", lambda _: JSONResponse({"bytes": len(work())})),
            Route("/broken", lambda _: Response(work(), 500, media_type="audio/wav")),
            Route("/silent", lambda _: Response(TONE, media_type="audio/L16")),
            Route("/own", own),
        ]
    )

    def get(path: str) -> httpx.Response:
        async def run() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return await client.get(path, headers={"x-request-id": "r-7"})

        return asyncio.run(run())

    return get


@pytest.mark.parametrize("path", ["/speech", "/stream"])
def test_an_answer_with_audio_is_a_synthesis_by_an_unknown_engine(ask: Any, telemetry: Telemetry, path: str) -> None:
    answer = ask(path)
    spoken, served = telemetry.span("text_to_speech"), telemetry.span(f"GET {path}")
    assert spoken.parent == served.context
    stages = [span for span in telemetry.spans if span.parent == spoken.context]
    assert [span.name for span in stages] == ["tts.model", "tts.model", "tts.postprocess"]
    assert served.start_time <= spoken.start_time == stages[0].start_time < stages[2].end_time <= spoken.end_time
    facts = spoken.attributes
    assert (facts[names.ENGINE], facts["request_id"], facts[names.OUTCOME]) == ("unknown", "r-7", "ok")
    assert facts[names.AUDIO_DURATION] == pytest.approx(0.2) and facts[names.AUDIO_FORMAT] == "wav"
    assert facts[names.AUDIO_SIZE] == len(answer.content)
    assert names.REAL_TIME_FACTOR not in facts and names.TIME_TO_FIRST_BYTE not in facts
    assert telemetry.points("tts.requests")


@pytest.mark.parametrize("path", ["/words", "/broken", "/silent"])
def test_what_says_nothing_is_none(ask: Any, telemetry: Telemetry, path: str) -> None:
    ask(path)
    assert telemetry.names() == [f"GET {path}"]


def test_there_is_never_a_second_one(ask: Any, telemetry: Telemetry) -> None:
    ask("/own")
    assert [name for name in telemetry.names() if name.startswith("text_to_speech")] == ["text_to_speech mine"]
    assert telemetry.names().count("tts.model") == 2

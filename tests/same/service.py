# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service with the engine: an answer at once, a stream, a refusal, a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastapi
from fastapi.responses import Response, StreamingResponse

import otel_tts
from tests.same.fixed import tick


def pcm(samples: Any) -> bytes:
    return (32767 * samples).astype("<i2").tobytes()


def make(speaker: Any, flush: Callable[[], None]) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.post("/speak/{who}")
    async def speak(who: str, text: str) -> Response:
        return Response(pcm(speaker.speak(text)), media_type="audio/pcm")

    @app.get("/stream")
    def stream(text: str) -> StreamingResponse:
        return StreamingResponse(map(pcm, speaker.stream(text)), media_type="audio/pcm")

    @app.get("/busy")
    def busy() -> Response:
        with otel_tts.synthesis("own-model", engine="own"):
            raise fastapi.HTTPException(429)

    @app.websocket("/talk")
    async def talk(socket: fastapi.WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            for piece in speaker.stream(text):
                tick(0.002)
                await socket.send_bytes(pcm(piece))
            flush()

    return app

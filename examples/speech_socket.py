# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speech over a WebSocket: each text that comes in is spoken at once, sentence by sentence, one utterance at a time.

    pip install .. hibari-tts fastapi uvicorn websockets
    otel-tts run -- uvicorn speech_socket:app --port 8000

The client sends texts. For each it receives its audio as binary messages of 16 bit PCM at 24 kHz, then a message
`{"done": true, "seconds": ...}`, or `{"error": "..."}`. Nothing in here knows of telemetry.
"""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.concurrency import iterate_in_threadpool
from hibari import Hibari

MAX_CHARACTERS = 4096

app = FastAPI(title="Speech over a WebSocket")
tts = Hibari()


@app.websocket("/speech")
async def converse(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await answer(socket, await socket.receive_text())
    except WebSocketDisconnect:
        pass


async def answer(socket: WebSocket, text: str) -> None:
    if not text.strip() or len(text) > MAX_CHARACTERS:
        await socket.send_json({"error": f"a text has 1 to {MAX_CHARACTERS} characters"})
        return
    frames = 0
    async for samples in iterate_in_threadpool(tts.stream(text)):
        await socket.send_bytes((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
        frames += len(samples)
    await socket.send_json({"done": True, "seconds": frames / tts.sample_rate})

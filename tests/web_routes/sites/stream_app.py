# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""No framework: streams of speech; one whose engine fails half way ends as if all were well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

import otel_tts

PIECES = 40
PIECE = (np.sin(np.arange(4800) * 0.1) * 9000).astype("<i2")


async def speak(way: str) -> AsyncIterator[bytes]:
    with otel_tts.synthesis("sparrow") as synthesis:
        for number in range(PIECES):
            await asyncio.sleep(0)
            if way == "broken" and number == PIECES // 2:
                raise RuntimeError("cannot say it")
            synthesis.chunk(PIECE, 24000)
            yield PIECE.tobytes()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    way = scope["path"].strip("/")
    kind = b"text/plain" if way == "text" else b"audio/pcm"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if way == "text":
        await send({"type": "http.response.body", "body": b"no speech"})
        return
    try:
        async for piece in speak(way):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except RuntimeError:
        pass
    if way == "leaves":
        raise LookupError("after the last piece")
    await send({"type": "http.response.body"})

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""No framework: what an ASGI server is given is a function."""

from __future__ import annotations

import asyncio
from typing import Any

from speaking import WAYS


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    _, way, said = scope["path"].split("/")
    audio = await asyncio.to_thread(WAYS[way], said)
    head = [(b"content-type", b"audio/wav"), (b"content-length", str(len(audio)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": audio})

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in of the service that edge-tts speaks to: the same WebSocket frames, on 127.0.0.1.

`Communicate` takes any aiohttp connector. This one leads the service's host to the stand-in and speaks plain TCP to it:
nothing of edge_tts is patched, its URL, headers, token and frames go out as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import unescape

import aiohttp
from aiohttp import web

SECONDS_PER_CHARACTER = 0.06
FRAME = 144  # bytes of a frame of MPEG 2 layer III at 24 kHz, 48 kbit/s: 576 samples, 24 ms
PIECE = 5 * FRAME  # 720 bytes, as the service sends them
SILENCE = bytes.fromhex("fff364c4") + bytes(FRAME - 4)
"""A frame of MPEG 2, layer III, 48 kbit/s, 24 kHz, mono, whose side information is zeros."""


def audio(text: str) -> bytes:
    frames = max(1, round(len(text) * SECONDS_PER_CHARACTER * 24000 / 576))
    return SILENCE * frames


class Service:
    """What it was asked, and what it is to do wrong: a list of faults, one for each connection, None for none.

    ``"403"`` refuses the token, with the server's clock in Date; ``"empty"`` ends the turn without audio; ``"drop"``
    closes in the middle; ``"abnormal"`` breaks the TCP connection; ``"path"`` sends a path that nobody knows;
    ``"late"`` waits `delay` seconds before the first audio.
    """

    def __init__(self, faults: Sequence[str | None] = (), delay: float = 0.0, pause: float = 0.0) -> None:
        self.faults, self.delay, self.pause = list(faults), delay, pause
        self.requests, self.headers, self.queries = [], [], []

    async def handle(self, request):
        fault = self.faults.pop(0) if self.faults else None
        self.headers.append(dict(request.headers))
        self.queries.append(dict(request.query))
        if fault == "403" or "Sec-MS-GEC" not in request.query:
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(compress=True)
        await socket.prepare(request)
        async for message in socket:
            head, _, body = message.data.partition("\r\n\r\n")
            fields = dict(line.split(":", 1) for line in head.split("\r\n"))
            if fields["Path"] == "ssml":
                await self._turn(socket, request, fields["X-RequestId"], body, fault)
        return socket

    async def _turn(self, socket, request, name, ssml, fault):
        spoken = unescape(re.sub("<[^>]*>", "", ssml))
        self.requests.append(ssml)
        stream = uuid.uuid4().hex.upper()

        async def say(path, content):
            head = f"X-RequestId:{name}\r\nContent-Type:application/json; charset=utf-8\r\nPath:{path}\r\n\r\n"
            await socket.send_str(head + json.dumps(content))

        async def play(data):
            kind = "Content-Type:audio/mpeg\r\n" if data else ""
            head = f"X-RequestId:{name}\r\n{kind}X-StreamId:{stream}\r\nPath:audio\r\n".encode()
            await socket.send_bytes(len(head).to_bytes(2, "big") + head + data)

        await say("turn.start", {"context": {"serviceTag": uuid.uuid4().hex}})
        inline = {"type": "inline", "streamId": stream}
        await say("response", {"context": {"serviceTag": uuid.uuid4().hex}, "audio": inline})
        if fault == "path":
            await say("turn.unheard-of", {})
            return
        if fault == "empty":
            await say("turn.end", {})
            return
        await asyncio.sleep(self.delay if fault == "late" else 0)
        data = audio(spoken)
        length = len(data) // FRAME * 240_000  # in 100 ns
        for start in range(0, len(data), PIECE):
            await play(data[start : start + PIECE])
            if start == 0:
                said = {"Text": spoken, "Length": len(spoken), "BoundaryType": "SentenceBoundary"}
                place = {"Offset": 0, "Duration": length, "text": said}
                await say("audio.metadata", {"Metadata": [{"Type": "SentenceBoundary", "Data": place}]})
                if fault == "drop":
                    await socket.close()
                    return
                if fault == "abnormal":
                    request.transport.abort()
                    return
            await asyncio.sleep(self.pause)
        await play(b"")  # no Content-Type: the end of the audio
        await say("turn.end", {})


class Connector(aiohttp.TCPConnector):
    """Every host is 127.0.0.1, without TLS, whatever the URL says."""

    def __init__(self, port: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._port = port

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        return [{"hostname": host, "host": "127.0.0.1", "port": self._port, "family": 2, "proto": 0, "flags": 0}]

    def _get_ssl_context(self, request: Any) -> None:
        return None


@contextlib.asynccontextmanager
async def serving(**arguments):
    service = Service(**arguments)
    application = web.Application()
    application.router.add_get("/consumer/speech/synthesize/readaloud/edge/v1", service.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield service, port
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def leading(port):
    """For callers that pass no connector (`stream_sync`, a server around it): one name in its module is changed."""
    from edge_tts import communicate

    before = communicate.WSS_URL
    communicate.WSS_URL = re.sub("^wss://[^/]*", f"ws://127.0.0.1:{port}", before)
    try:
        yield
    finally:
        communicate.WSS_URL = before

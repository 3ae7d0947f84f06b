# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of their own, in this process: streams, clients that leave in the middle, WebSockets, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
from aiohttp import ClientSession, web
from opentelemetry.trace import SpanKind, StatusCode

import otel_tts
from otel_tts import names
from otel_tts.testing import Telemetry

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "req-1"}
PIECES = 20


@otel_tts.synthesis("m", sample_rate=24000)
async def speak() -> Any:
    for _ in range(PIECES):
        await asyncio.sleep(0.01)
        yield (np.sin(np.arange(2400) * 0.1) * 9000).astype(np.int16)


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry() as running:
        running.launch()
        yield running


def servers(telemetry: Telemetry) -> dict[str, Any]:
    return {span.attributes["request_id"]: span for span in telemetry.spans if span.kind is SpanKind.SERVER}


def outcome(telemetry: Telemetry, request_id: str) -> str:
    (span,) = [
        span
        for span in telemetry.spans
        if span.kind is not SpanKind.SERVER and span.attributes.get("request_id") == request_id
    ]
    return span.attributes[names.OUTCOME]


# --- aiohttp ----------------------------------------------------------------------------------------------------------


async def stream_of_aiohttp(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-type": "audio/l16"})
    await answer.prepare(request)
    async for piece in speak():
        await answer.write(piece.tobytes())
    await answer.write_eof()
    return answer


async def talk_to_aiohttp(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        with otel_tts.synthesis("m"):
            await socket.send_str("spoken")
    return socket


async def refuse_by_aiohttp(request: web.Request) -> web.Response:
    raise web.HTTPConflict(headers={"x-request-id": "mine"})


async def serve_aiohttp(use: Callable[[str], Awaitable[None]]) -> None:
    app = web.Application()
    app.add_routes(
        [web.get("/stream", stream_of_aiohttp), web.get("/talk", talk_to_aiohttp), web.get("/no", refuse_by_aiohttp)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
    await use(site.name if not site.name.endswith(":0") else f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


# --- Tornado ----------------------------------------------------------------------------------------------------------


class Stream(tornado.web.RequestHandler):
    async def get(self) -> None:
        self.set_header("content-type", "audio/l16")
        async for piece in speak():
            self.write(piece.tobytes())
            await self.flush()


class Talk(tornado.websocket.WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        with otel_tts.synthesis("m"):
            self.write_message("spoken")


class Refuse(tornado.web.RequestHandler):
    async def get(self) -> None:
        self.set_header("x-request-id", "mine")
        self.set_status(409)
        self.finish()


async def serve_tornado(use: Callable[[str], Awaitable[None]]) -> None:
    (socket,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(
        tornado.web.Application([("/stream", Stream), ("/talk", Talk), ("/no", Refuse)])
    )
    server.add_socket(socket)
    await use(f"http://127.0.0.1:{socket.getsockname()[1]}")
    server.stop()
    await server.close_all_connections()
    socket.close()


# --- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serve", [serve_aiohttp, serve_tornado])
def test_streams_sockets_and_refusals(telemetry: Telemetry, serve: Callable[..., Awaitable[None]]) -> None:
    async def use(url: str) -> None:
        async with ClientSession(url) as client:
            async with client.get("/stream", headers=CALLER) as answer:
                assert answer.headers.getall("x-request-id") == ["req-1"]
                assert len(await answer.read()) == PIECES * 4800
            async with client.get("/stream", headers={"x-request-id": "gone"}) as answer:
                await answer.content.readexactly(4800)
                answer.close()
            async with client.ws_connect("/talk", headers={"x-request-id": "talk"}) as socket:
                for _ in range(2):
                    await socket.send_str("a")
                    assert await socket.receive_str() == "spoken"
            async with client.get("/no") as answer:
                assert (answer.status, answer.headers.getall("x-request-id")) == (409, ["mine"])
            await asyncio.sleep(0.5)  # the stream that nobody hears is given up by now

    asyncio.run(serve(use))
    found = servers(telemetry)
    assert found.keys() == {"req-1", "gone", "talk", "mine"}
    assert f"{found['req-1'].context.trace_id:032x}" == CALLER["traceparent"].split("-")[1]
    assert {span.status.status_code for span in found.values()} == {StatusCode.UNSET}
    assert outcome(telemetry, "req-1") == "ok" and outcome(telemetry, "gone") == "cancelled"
    spoken = [span for span in telemetry.spans if span.parent == found["talk"].context]
    assert [span.attributes["request_id"] for span in spoken] == ["talk.1", "talk.2"]
    assert found["mine"].attributes["http.response.status_code"] == 409
    assert found["talk"].attributes["http.response.status_code"] == 101
    assert not telemetry.recorder.serving

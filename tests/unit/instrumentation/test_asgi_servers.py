# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The edge that an ASGI server puts around an application of no framework."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import pytest
import uvicorn
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import otel_tts
from otel_tts import names
from otel_tts.instrumentation.edges import asgi_servers
from otel_tts.testing import Telemetry

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "req-1"}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    with otel_tts.synthesis("m"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"spoken"})


async def answer(asked: Request) -> PlainTextResponse:
    return PlainTextResponse(asked.url.scheme)


def framework() -> Starlette:
    return Starlette(routes=[Mount("/in", routes=[Route("/{x}", answer)])])


def loaded(app: Any, **options: Any) -> Any:
    """The application as uvicorn calls it."""
    config = uvicorn.Config(app, **options)
    config.load()
    return config.loaded_app


def ask(app: Any, path: str = "/in/1", **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(run())


def servers(telemetry: Telemetry) -> list[Any]:
    return [span for span in telemetry.spans if span.kind is SpanKind.SERVER]


def test_a_function_has_an_edge() -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        got = ask(loaded(bare), **CALLER)
        (server,) = servers(telemetry)
        assert got.headers["x-request-id"] == server.attributes["request_id"] == "req-1" and got.content == b"spoken"
        assert f"{server.context.trace_id:032x}" == CALLER["traceparent"].split("-")[1]
        assert telemetry.span("text_to_speech m").parent == server.context


def test_what_a_proxy_says_is_known_inside_of_the_edge() -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        ask(loaded(bare, forwarded_allow_ips="*"), **{"x-forwarded-proto": "https"})
        assert servers(telemetry)[0].attributes["url.scheme"] == "https"


class Middleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def test_an_application_of_a_framework_keeps_its_own_whatever_is_around_it() -> None:
    with Telemetry() as telemetry:
        telemetry.launch()
        around = Middleware(Middleware(framework()))
        assert asgi_servers.put_around(around) is around
        ask(loaded(around))
        assert [span.name for span in servers(telemetry)] == ["GET /in/{x}"]


def test_one_that_nobody_can_look_into_has_one_edge_and_its_routes() -> None:
    app = framework()

    async def hides(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    with Telemetry() as telemetry:
        telemetry.launch()
        assert ask(loaded(hides)).headers.get_list("x-request-id").__len__() == 1
        assert [span.name for span in servers(telemetry)] == ["GET /in/{x}"]


def test_wsgi_under_an_asgi_server_is_left_to_its_own_edge() -> None:
    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"x"]

    with Telemetry() as telemetry:
        telemetry.launch()
        with pytest.warns(DeprecationWarning, match="native WSGI"):
            assert type(loaded(app, interface="wsgi", proxy_headers=False)).__module__.startswith("uvicorn.middleware")


def test_applications_that_go_round_in_circles_end() -> None:
    one, other = Middleware(None), Middleware(None)
    one.app, other.app = other, one
    assert asgi_servers.put_around(one) is not one


def test_a_message_that_nobody_has_received_says_that_the_client_has_gone() -> None:
    """hypercorn and daphne give a queue's `get`; what is in it is in `_queue` in every Python."""

    async def run(app: Any, *waiting: str) -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for kind in waiting:
            queue.put_nowait({"type": kind})

        async def send(message: Any) -> None:
            pass

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.5"}}
        await app(scope, queue.get, send)

    for waiting, outcome in ((("http.request",), "ok"), (("http.request", "http.disconnect"), "cancelled")):
        with Telemetry() as telemetry:
            telemetry.launch()
            asyncio.run(run(loaded(bare), *waiting))
            assert telemetry.span("text_to_speech m").attributes[names.OUTCOME] == outcome


@pytest.mark.parametrize("anyio", [True, False])
def test_the_end_of_an_application_waits_for_what_is_to_leave(monkeypatch: pytest.MonkeyPatch, anyio: bool) -> None:
    from otel_tts.instrumentation.edges import asgi, ending

    if not anyio:
        monkeypatch.setitem(sys.modules, "anyio.to_thread", None)
    done: list[str] = []
    monkeypatch.setattr(ending, "before_end", lambda: done.append("flushed"))

    async def send(message: Any) -> None:
        done.append(message["type"])

    asyncio.run(asgi._flushing(send)({"type": "lifespan.shutdown.complete"}))
    assert done == ["flushed", "lifespan.shutdown.complete"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts fails at every line of an edge: the application answers as ever. See `test_faults_everywhere`.

Of frameworks that are not in this environment a stand-in has the parts that their edge touches; tests/web_routes runs
them as they are.
"""

from __future__ import annotations

import asyncio
import io
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import otel_tts
from otel_tts import guard
from otel_tts.instrumentation.edges import (
    aiohttp,
    asgi_servers,
    contrib,
    every,
    frameworks,
    sanic,
    tornado,
    wsgi,
)
from tests.unit.support.faults import check, outcome

pytestmark = pytest.mark.thorough

SHARED = ("peer", "exchange", "serving", "asgi_span", "arrival")
CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "user-agent": "me"}


def speak() -> bytes:
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(np.zeros(240, np.float32), 24000)
    return b"RIFFspoken"


# --- WSGI -------------------------------------------------------------------------------------------------------------


def in_a_list(environ: Any, start: Any) -> Any:
    start("200 OK", [("Content-Type", "audio/wav")])
    return [speak()]


def in_steps(environ: Any, start: Any) -> Iterator[bytes]:
    start("200 OK", [])
    yield speak()
    yield b"more"


def by_hand(environ: Any, start: Any) -> Any:
    start("200 OK", [("X-Request-Id", "mine")])(speak())
    return []


def in_a_file(environ: Any, start: Any) -> Any:
    start("200 OK", [("Content-Type", "audio/wav")])
    return environ["wsgi.file_wrapper"](io.BytesIO(speak()))


def taken_back(environ: Any, start: Any) -> Any:
    try:
        raise KeyError("theirs")
    except KeyError:
        start("500 Oops", [], sys.exc_info())
    return [b"sorry"]


def fails(environ: Any, start: Any) -> Any:
    raise KeyError("theirs")


class Wrapper:
    def __init__(self, file: Any) -> None:
        self.filelike, self.close = file, file.close

    def __iter__(self) -> Any:
        return iter([self.filelike.read()])


@pytest.mark.parametrize("app", [in_a_list, in_steps, by_hand, in_a_file, taken_back, fails])
def test_answers_of_a_wsgi_application(world: Any, app: Callable[..., Any]) -> None:
    seen, edge = world(), wsgi._with_edge(lambda self, *call: app(*call))

    def ask(take: int | None = None) -> Any:
        ours, client = socket.socketpair()
        written: list[Any] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            written.append(status)
            return written.append

        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_PORT": "80", "REMOTE_ADDR": "::1", "CONTENT_LENGTH": "3",
            "wsgi.file_wrapper": Wrapper, "gunicorn.socket": ours, "HTTP_TRACEPARENT": CALLER["traceparent"],
        }  # fmt: skip
        with ours, client:
            result = edge(None, environ, start)
            for number, piece in enumerate(result):
                if number == take:
                    break
                written.append(piece)
            if hasattr(result, "close"):
                result.close()
        seen.drain()
        return written

    only = ("wsgi", *SHARED) if app in (in_a_list, in_steps, by_hand) else ("wsgi", *SHARED[1:])
    check(lambda: [outcome(ask), outcome(partial(ask, 1))], only=only)


def test_what_frameworks_know(world: Any) -> None:
    from flask import Flask

    seen, app = world(), Flask(__name__)
    app.logger.disabled = True
    app.add_url_rule("/speak/<said>", view_func=lambda said: speak())
    app.add_url_rule("/broken", "broken", view_func=lambda: {}["theirs"])

    class Other:
        def default(self, request: Any, error: Any) -> str:
            return "handled"

    def ask(path: str) -> Any:
        every.instrument()
        try:
            answer = app.test_client().get(path, headers=CALLER)
            guard.contain("frameworks", frameworks._watch_handler, "Other", "default", 1, SimpleNamespace(Other=Other))
            seen.drain()
            return answer.status_code, answer.data, Other().default(None, KeyError("theirs"))
        finally:
            every.uninstrument()

    calls = (partial(ask, "/speak/a"), partial(ask, "/broken"))
    hooks = ("frameworks._note", "frameworks._watch", "frameworks.patch")
    check(lambda: [outcome(call) for call in calls], only=hooks)


def test_another_that_makes_the_span(world: Any) -> None:
    from opentelemetry import context, trace
    from opentelemetry.instrumentation import utils
    from opentelemetry.propagators.textmap import DefaultGetter

    seen = world()
    tracer = seen.tracers.get_tracer("theirs")

    def app(environ: Any, start: Any) -> Any:
        module: Any = ModuleType("theirs")
        module._start_internal_or_server_span = utils._start_internal_or_server_span
        guard.contain("contrib", contrib.patch, module)
        span, token = module._start_internal_or_server_span(tracer, "theirs", None, {}, DefaultGetter())
        with trace.use_span(span, end_on_exit=True):
            result = in_a_list(environ, start)
        if token is not None:
            context.detach(token)
        return result

    edge = wsgi._with_edge(lambda self, *call: app(*call))

    def ask() -> Any:
        return edge(None, {"REQUEST_METHOD": "GET"}, lambda *head: lambda piece: None)

    check(lambda: [outcome(ask)], only=("contrib", "serving._give_way_now", "serving.give_way", "serving.context_for"))


# --- servers of ASGI --------------------------------------------------------------------------------------------------


def test_an_application_that_only_its_server_knows(world: Any) -> None:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    seen = world()
    inner = Starlette(routes=[Route("/{x}", lambda _: Response(b"x"))])

    async def hidden(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    def load(self: Any) -> None:
        self.loaded_app = self.app

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    def ask(app: Any) -> Any:
        every.instrument()
        try:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append({key: value for key, value in message.items() if key != "headers"})

            config = SimpleNamespace(app=app, interface="asgi3")
            asgi_servers._after(load, look=asgi_servers._look_at_uvicorn)(config)
            headers = [(b"traceparent", CALLER["traceparent"].encode())]
            scope = {"type": "http", "method": "GET", "path": "/a", "headers": headers, "asgi": {"spec_version": "2.5"}}
            asyncio.run(config.loaded_app(scope, receive, send))
            seen.drain()
            return sent
        finally:
            every.uninstrument()

    check(
        lambda: [outcome(partial(ask, hidden)), outcome(partial(ask, inner))],
        only=("asgi_servers._", "asgi_servers.put", "asgi._note"),
    )


# --- servers of their own ---------------------------------------------------------------------------------------------


def work(run: Callable[[], Any]) -> Any:
    return asyncio.run(run())


def test_answers_of_aiohttp(world: Any) -> None:
    seen = world()

    class Response(SimpleNamespace):
        prepared, content_type = False, "audio/wav"

        async def prepare(self, request: Any) -> None:
            self.prepared = True

        async def write(self, piece: bytes) -> None:
            self.sent.append(piece)

    prepare, write = aiohttp._with_head(Response.prepare), aiohttp._with_piece(Response.write)

    class Request(dict[str, Any]):
        method, scheme, remote, headers = "GET", "http", "::1", CALLER
        version = SimpleNamespace(major=1, minor=1)
        rel_url = SimpleNamespace(raw_path="/a", raw_query_string="")
        match_info = SimpleNamespace(route=SimpleNamespace(resource=SimpleNamespace(canonical="/{a}")))
        transport = SimpleNamespace(is_closing=lambda: False)

    async def handle(self: Any, request: Any, how: str) -> Any:
        if how == "raises":
            raise KeyError("theirs")
        if how == "fails":
            handle_error(None, request, 500, KeyError("theirs"))
        response = Response(headers={}, status=200, body=speak() if how == "plain" else None, sent=[], _req=request)
        await prepare(response, request)
        await write(response, speak())
        return response.sent, how == "gone"

    handle_error = aiohttp._noting_errors(lambda self, request, status, exc: status)
    edge = aiohttp._with_edge(handle)

    def ask(how: str) -> Any:
        got = work(partial(edge, None, Request(), how))
        seen.drain()
        return got

    check(lambda: [outcome(partial(ask, how)) for how in ("plain", "stream", "fails", "raises", "gone")],
          only=("aiohttp", "exchange"))  # fmt: skip


def test_answers_of_tornado(world: Any) -> None:
    seen = world()

    class Handler:
        def __init__(self) -> None:
            self.request = SimpleNamespace(
                method="GET", protocol="http", headers=CALLER, path="/a", query="", version="HTTP/1.1", remote_ip="::1",
                connection=SimpleNamespace(stream=SimpleNamespace(closed=lambda: False)),
            )  # fmt: skip
            self._headers: dict[str, str] = {"Content-Type": "audio/wav"}
            self._write_buffer: list[bytes] = []
            self._finished = False

        def get_status(self) -> int:
            return 200

        def set_header(self, name: str, value: str) -> None:
            self._headers[name] = value

    flush = tornado._with_head(lambda self: self._write_buffer)

    def end(self: Any) -> Any:
        flush(self)
        self._finished = True
        done: Any = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    finish = tornado._with_end(end)
    caught = tornado._noting_errors(lambda self, error: type(error).__name__, answers=(ValueError,))

    async def execute(self: Any, how: str) -> Any:
        if how == "raises":
            return caught(self, KeyError("theirs"))
        self._write_buffer.append(speak())
        finish(self)
        await asyncio.sleep(0)
        return self._write_buffer

    edge = tornado._with_edge(execute)

    def ask(how: str) -> Any:
        got = work(partial(edge, Handler(), how))
        seen.drain()
        return got

    check(lambda: [outcome(partial(ask, how)) for how in ("plain", "raises")], only=("tornado", "exchange"))


def test_answers_of_sanic(world: Any) -> None:
    seen = world()
    sent: list[Any] = []

    async def deliver(self: Any, data: Any = None) -> None:
        sent.append(data or self.body)

    send = sanic._with_send(deliver)
    respond = sanic._noting_errors(lambda self, request, error: type(error).__name__)

    async def handle(request: Any) -> None:
        sent.clear()
        if request.path == "/raises":
            raise KeyError("theirs")
        if request.path == "/fails":
            sent.append(respond(None, request, KeyError("theirs")))
        response = SimpleNamespace(
            stream=SimpleNamespace(request=request), headers={}, status=200, content_type="audio/wav", body=speak()
        )
        await send(response)
        await send(response, "more")

    class Protocol:
        def __init__(self) -> None:
            self.request_handler = handle

    make = sanic._with_handler(Protocol.__init__)

    def ask(path: str) -> Any:
        protocol: Any = Protocol.__new__(Protocol)
        make(protocol)
        request = SimpleNamespace(
            method="GET", scheme="http", headers=CALLER, path=path, query_string="", version="1.1", ip="::1", port=1,
            ctx=SimpleNamespace(), transport=SimpleNamespace(get_extra_info=lambda name: None),
        )  # fmt: skip
        work(partial(protocol.request_handler, request))
        seen.drain()
        return list(sent)

    check(lambda: [outcome(partial(ask, path)) for path in ("/", "/fails", "/raises")], only=("sanic", "exchange"))


def test_answers_of_the_standard_librarys_server(world: Any) -> None:
    seen = world()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/raises":
                raise KeyError("theirs")
            self.send_response_only(200)
            self.end_headers()
            self.wfile.write(speak())

        def log_message(self, *args: Any) -> None:
            pass

    def ask(path: str) -> Any:
        ours, client = socket.socketpair()
        guard.contain("http_server", every.instrument)
        try:
            with ours, client:
                client.sendall(f"GET {path} HTTP/1.0\r\nx-request-id: a\r\n\r\n".encode())
                Handler(ours, ("::1", 1), None)  # type: ignore[arg-type]
                seen.drain()
                return client.recv(1000).replace(b"X-Request-ID: a\r\n", b"")
        finally:
            every.uninstrument()

    check(lambda: [outcome(partial(ask, path)) for path in ("/", "/raises")], only=("http_server._", *SHARED))

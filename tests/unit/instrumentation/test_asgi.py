# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import fastapi
import fastapi.applications
import pytest
import uvicorn
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from otel_tts import guard
from otel_tts.instrumentation.edges import every, serving
from otel_tts.recording import request


@pytest.fixture(autouse=True)
def edge() -> Iterator[None]:
    every.instrument()
    yield
    every.uninstrument()


def http(*headers: tuple[bytes, bytes], path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b"", "headers": list(headers),
        "asgi": {"spec_version": "2.5"}, **more,
    }  # fmt: skip


def call(app: Any, scope: dict[str, Any], *incoming: dict[str, Any]) -> list[dict[str, Any]]:
    """Call an ASGI app and return what it sent."""
    sent: list[dict[str, Any]] = []
    waiting = list(incoming) or [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def ids(message: dict[str, Any]) -> list[bytes]:
    return [value for name, value in message.get("headers", ()) if name.lower() == b"x-request-id"]


class Plain(Starlette):
    """An app whose own behaviour is one ASGI callable: the edge is patched into Starlette's __call__."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.middleware_stack = body


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


def test_the_edge_is_a_real_coroutine_function() -> None:
    for cls in (Starlette, fastapi.FastAPI, fastapi.applications.FastAPI):
        assert inspect.iscoroutinefunction(cls.__call__)
        assert list(inspect.signature(cls.__call__).parameters) == ["self", "scope", "receive", "send"]
    config = uvicorn.Config(fastapi.FastAPI(), log_config=None)
    config.load()
    assert config.interface == "asgi3"


def test_it_is_put_on_once_and_taken_off() -> None:
    edged = Starlette.__call__
    every.instrument()
    assert Starlette.__call__ is edged
    every.uninstrument()
    every.uninstrument()
    assert ids(call(Plain(answer), http())[0]) == []
    every.instrument()
    assert len(ids(call(Plain(answer), http())[0])) == 1


def test_a_good_id_is_kept_and_visible_to_the_app() -> None:
    seen: list[request.Request | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(request.current.get())
        await answer(scope, receive, send)

    sent = call(Plain(app), http((b"x-request-id", b"r:1")))
    assert ids(sent[0]) == [b"r:1"]
    assert seen[0] is not None and seen[0].id == "r:1" and seen[0].started > 0
    assert request.current.get() is None


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a b", b"a\r\nset-cookie: x", b"\xff", b"<script>", b"a/b"])
def test_a_bad_id_is_replaced(given: bytes) -> None:
    (made,) = ids(call(Plain(answer), http((b"x-request-id", given)))[0])
    assert made != given and len(made) == 32
    assert int(made, 16)


def test_an_app_that_answers_with_an_id_of_its_own_is_right() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": iter([(b"X-Request-ID", b"own")])})

    assert ids(call(Plain(app), http((b"x-request-id", b"r1")))[0]) == [b"own"]


def test_a_mounted_app_has_its_outer_apps_id() -> None:
    inner = Starlette(routes=[Route("/x", lambda _: PlainTextResponse(request.current.get().id))])  # type: ignore[union-attr]
    sent = call(Starlette(routes=[Mount("/sub", inner)]), http((b"x-request-id", b"r1"), path="/sub/x"))
    assert ids(sent[0]) == [b"r1"]
    assert sent[1]["body"] == b"r1"


def test_body_messages_pass_as_they_are_and_as_they_come() -> None:
    bodies = [{"type": "http.response.body", "body": b"x", "more_body": True} for _ in range(3)]
    order: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for body in bodies:
            order.append("made")
            await send(body)

    async def send(message: Any) -> None:
        order.append(message)

    asyncio.run(Plain(app)(http(), None, send))  # type: ignore[arg-type]
    assert order[1::2] == ["made"] * 3
    assert all(sent is body for sent, body in zip(order[2::2], bodies, strict=True))


def test_an_exception_of_the_app_stays_the_same_object() -> None:
    error = ValueError("x")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(ValueError) as caught:
        call(Plain(app), http())
    assert caught.value is error
    assert request.current.get() is None


def test_a_fault_in_the_edge_does_not_reach_the_app() -> None:
    scope = http()
    scope["headers"] = 7  # no server does this
    assert [message["type"] for message in call(Plain(answer), scope)] == ["http.response.start", "http.response.body"]
    assert guard.faults["asgi"] == 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": 7})

    assert call(Plain(app), http())[0]["headers"] == 7
    assert guard.faults["asgi.header"] == 1


def test_server_spans_made_inside_and_outside_get_the_id() -> None:
    memory, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.add_span_processor(serving.RequestSpans())
    tracer = provider.get_tracer("test")
    requests: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        requests.append(request.current.get())
        with tracer.start_as_current_span("inside", kind=SpanKind.SERVER), tracer.start_as_current_span("child"):
            await answer(scope, receive, send)

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        with tracer.start_as_current_span("outside", kind=SpanKind.SERVER):
            await Plain(app)(scope, receive, send)

    call(Plain(app), http((b"x-request-id", b"r1")))
    call(middleware, http((b"x-request-id", b"r2")))
    found = {span.name: dict(span.attributes or {}) for span in memory.get_finished_spans()[:2]}
    assert found == {"inside": {"request_id": "r1"}, "child": {}}
    outside = memory.get_finished_spans()[-1]
    assert (outside.name, dict(outside.attributes or {})) == ("outside", {"request_id": "r2"})
    assert [r.span.name for r in requests] == ["inside", "outside"]


@pytest.mark.parametrize(("version", "expected"), [("2.0", []), ("2.1", [b"s1"]), ("2.4", [b"s1"])])
def test_a_websocket_is_told_its_id_where_the_server_can(version: str, expected: list[bytes]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert request.current.get().id == "s1"  # type: ignore[union-attr]
        await send({"type": "websocket.accept"})

    scope = {"type": "websocket", "headers": [(b"x-request-id", b"s1")], "asgi": {"spec_version": version}}
    assert ids(call(Plain(app), scope)[0]) == expected


@pytest.mark.parametrize("ending", ["lifespan.shutdown.complete", "lifespan.shutdown.failed"])
@pytest.mark.parametrize("fails", [False, True])
def test_telemetry_is_flushed_in_another_thread_before_the_server_hears_of_the_end(ending: str, fails: bool) -> None:
    order: list[Any] = []

    def flush() -> None:
        order.append(("flush", threading.current_thread() is threading.main_thread()))
        if fails:
            raise OSError("no")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        order.append("end")
        await send({"type": ending})
        order.append("told")

    every.instrument(before_end=flush)
    sent = call(Plain(app), {"type": "lifespan"})
    assert order == ["end", ("flush", False), "told"]
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", ending]
    assert guard.faults["asgi.flush"] == int(fails)


def test_an_abandoned_request_closed_elsewhere_is_no_error() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def abandon() -> None:
        coroutine = Plain(app)(http(), None, None)  # type: ignore[arg-type]
        contextvars.copy_context().run(coroutine.send, None)
        coroutine.close()

    asyncio.run(abandon())
    assert not guard.faults

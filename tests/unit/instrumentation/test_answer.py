# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An answer on its way through the edge: whose id it has, when it is complete, and when its client has left."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from gunicorn.asgi import protocol

import otel_tts
from otel_tts import guard
from otel_tts.instrumentation.edges.answer import Answer
from otel_tts.instrumentation.edges.asgi import with_edge
from otel_tts.recording.request import Request
from otel_tts.testing import Telemetry

HEADS = frozenset({"http.response.start"})
GONE = {"type": "http.disconnect"}


def start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def body(size: int = 1, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"x" * size, "more_body": more}


class Cycle:
    """A server's half of one request, as uvicorn has it."""

    __module__ = "uvicorn.protocols.http.some_impl"

    def __init__(self, *incoming: Any) -> None:
        self.disconnected = False
        self.incoming, self.sent = list(incoming), []

    async def receive(self) -> Any:
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)


def through(*messages: Any, server: Cycle | None = None) -> tuple[Request, list[Any]]:
    """Send messages, or receive one where it says so; return the request and what went out."""
    server = server or Cycle()
    web = Request("r1", 0, answers=True)
    answer = Answer(web, server.receive, server.send, HEADS)

    async def run() -> None:
        for message in messages:
            await (answer.receive() if message == "receive" else answer.send(message))

    asyncio.run(run())
    assert not guard.faults
    return web, server.sent


@pytest.mark.parametrize(
    "messages",
    [
        (start(), body()),
        (start(), body(more=True), body(0)),
        (start((b"content-length", b"6")), body(3, more=True), body(3, more=True)),
        (start(), {"type": "http.response.pathsend", "path": "/x"}),
    ],
    ids=["whole", "stream", "all that was announced", "a file by its path"],
)
def test_an_answer_is_complete(messages: Any) -> None:
    """And what its client does afterwards is its own affair."""
    web, _ = through(*messages, "receive", server=Cycle(GONE))
    assert web.ended is not None and not web.left


@pytest.mark.parametrize(
    "messages",
    [(start(),), (start(), body(more=True)), (start((b"content-length", b"7")), body(3, more=True))],
    ids=["head", "stream", "less than was announced"],
)
def test_an_answer_is_open(messages: Any) -> None:
    web, _ = through(*messages)
    assert web.ended is None


@pytest.mark.parametrize("messages", [("receive",), (start(), body(more=True), "receive", body(0))])
def test_a_client_that_left_is_not_answered_by_a_closing_body(messages: Any) -> None:
    web, _ = through(*messages, server=Cycle(GONE))
    assert web.left and web.ended is not None


def test_what_the_server_knows_of_its_connection_is_asked() -> None:
    server = Cycle()
    server.disconnected = True
    web, sent = through(start(), body(), server=server)
    assert web.left and [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("is_whole", [False, True])
def test_an_answer_whose_application_is_cancelled_is_nobodys(is_whole: bool) -> None:
    """So Ray Serve does with a request whose client has left; what is cancelled behind the answer does not count."""

    async def app(_: Any, scope: Any, receive: Any, send: Any) -> None:
        with otel_tts.synthesis("sparrow"):
            pass
        if is_whole:
            await send(start())
            await send(body())
        raise asyncio.CancelledError

    async def run() -> None:
        server = Cycle()
        with pytest.raises(asyncio.CancelledError):
            await with_edge(app)(None, {"type": "http", "method": "GET", "headers": []}, server.receive, server.send)

    with Telemetry() as telemetry:
        telemetry.launch()
        asyncio.run(run())
        assert telemetry.span("text_to_speech sparrow").attributes["tts.outcome"] == ("ok" if is_whole else "cancelled")


@pytest.mark.parametrize("flag", [None, "no", 1])
def test_an_attribute_that_is_no_flag_any_more_says_nothing(flag: Any) -> None:
    server = Cycle()
    server.disconnected = flag
    web, _ = through(start(), body(), server=server)
    assert not web.left


def test_another_servers_attribute_of_that_name_says_nothing() -> None:
    class Other(Cycle):
        __module__ = "somebody.else"

    server = Other()
    server.disconnected = server._closed = True
    web, _ = through(start(), body(), server=server)
    assert not web.left


def test_the_servers_that_are_asked_still_say_it() -> None:
    """What `answer._GONE` relies on in uvicorn and gunicorn."""
    for name in ("h11_impl", "httptools_impl"):  # the second may lack its parser here
        spec = importlib.util.find_spec(f"uvicorn.protocols.http.{name}")
        assert spec is not None and spec.origin is not None
        text = Path(spec.origin).read_text()
        assert re.search(
            r"class RequestResponseCycle.*self\.disconnected = False.*async def receive\(self\)", text, re.S
        )
        assert "self.cycle.disconnected = True" in text
    receivers = [cls for _, cls in inspect.getmembers(protocol, inspect.isclass) if hasattr(cls, "signal_disconnect")]
    assert receivers and all("self._closed = True" in inspect.getsource(cls.signal_disconnect) for cls in receivers)
    assert all(inspect.iscoroutinefunction(cls.receive) for cls in receivers)


@pytest.mark.parametrize(
    "given, expected, offered",
    [
        ((), "r1", None),
        (((b"X-Request-ID", b"own:1"),), "own:1", "r1"),
        (((b"x-request-id", b"r1"),), "r1", None),
        (((b"x-request-id", b"not one"),), "r1", None),
        (((b"x-request-id", b""),), "r1", None),
        (((b"x-request-id", b"\xff"),), "r1", None),
        (((b"x-request-id", b"first"), (b"x-request-id", b"second")), "first", "r1"),
    ],
)
def test_the_id_in_the_answer_is_the_requests_where_it_is_harmless(given: Any, expected: str, offered: Any) -> None:
    web, sent = through(start(*given))
    assert (web.id, web.offered) == (expected, offered)
    found = [value for name, value in sent[0]["headers"] if name.lower() == b"x-request-id"]
    assert found == ([value for _, value in given] or [b"r1"])

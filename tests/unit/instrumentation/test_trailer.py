# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Who is told of a stream's outcome in a trailer, and which of several outcomes that is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import otel_tts
from otel_tts.testing import Telemetry

ANNOUNCED = [(b"trailer", b"x-tts-outcome")]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry() as running:
        running.launch()
        yield running


async def speak_twice(request: Any) -> Response:
    for name in ("first", "second"):
        try:
            with otel_tts.synthesis("e") as synthesis:
                synthesis.audio([0.5, -0.5] * 800, 16000)
                if name == request.query_params.get("fails"):
                    raise RuntimeError
        except RuntimeError:
            pass
    return Response(b"x" * 10, media_type="application/octet-stream")


async def audio_of_nobody(request: Any) -> Response:
    async def pieces() -> Any:
        yield b"x"

    return StreamingResponse(pieces(), media_type="audio/pcm")


async def text(request: Any) -> Response:
    return PlainTextResponse("x")


APP = [Route("/twice", speak_twice), Route("/audio", audio_of_nobody), Route("/text", text)]


def messages(path: str, te: bytes | None = b"trailers", extensions: Any = None, method: str = "GET") -> list[Any]:
    """What the server is given for one request; it has trailers unless `extensions` say otherwise."""
    path, _, query = path.partition("?")
    said: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "2", "method": method, "path": path,
        "raw_path": b"", "query_string": query.encode(), "scheme": "http", "root_path": "", "server": ("x", 80),
        "client": ("y", 1),
        "headers": [] if te is None else [(b"te", te)],
        "extensions": {"http.response.trailers": {}} if extensions is None else extensions,
    }  # fmt: skip

    async def receive() -> Any:
        await asyncio.Event().wait()  # the client listens to the end

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(Starlette(routes=APP)(scope, receive, send))
    return said


def announced(said: list[Any]) -> list[Any]:
    return [header for header in said[0]["headers"] if header[0] == b"trailer"]


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/twice", b"complete"), ("/twice?fails=first", b"error"), ("/twice?fails=second", b"error"),
        ("/audio", b"unknown"),
    ],
)  # fmt: skip
def test_the_worst_of_a_requests_syntheses_is_told(telemetry: Telemetry, path: str, outcome: bytes) -> None:
    said = messages(path, te=b"deflate;q=0.5, Trailers")
    assert said[0]["trailers"] is True and announced(said) == ANNOUNCED
    assert said[-2]["type"] == "http.response.body" and not said[-2].get("more_body")
    assert said[-1] == {
        "type": "http.response.trailers", "headers": [(b"x-tts-outcome", outcome)], "more_trailers": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"path": "/twice", "te": None},
        {"path": "/twice", "te": b"gzip"},
        {"path": "/twice", "extensions": {}},
        {"path": "/twice", "extensions": {"http.response.trailers": {}, "http.response.pathsend": {}}},
        {"path": "/twice", "method": "HEAD"},
        {"path": "/text"},
    ],
)
def test_an_answer_is_left_alone_otherwise(telemetry: Telemetry, asked: dict[str, Any]) -> None:
    said = messages(**asked)
    assert "trailers" not in said[0] and announced(said) == []
    assert said[-1]["type"] == "http.response.body"


def test_trailers_of_the_applications_own_are_its_own(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
            await send({"type": "http.response.body", "body": b"x"})
            await send({"type": "http.response.trailers", "headers": [(b"x-mine", b"1")]})

    async def own(request: Any) -> Response:
        with otel_tts.synthesis("e"):
            return Own()

    monkeypatch.setattr(sys.modules[__name__], "APP", [Route("/own", own)])
    said = messages("/own")
    assert [message["type"].rpartition(".")[2] for message in said] == ["start", "body", "trailers"]
    assert said[-1]["headers"] == [(b"x-mine", b"1")]

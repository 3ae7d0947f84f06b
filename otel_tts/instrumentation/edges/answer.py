# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One answer of an ASGI app on its way through the edge: the id in its head, and whether somebody took all of it.

"Complete" is not what the application says: a middleware may close the body of an answer whose client has gone
(Starlette's BaseHTTPMiddleware does), and a plain answer is handed to the server whoever listens.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter_ns
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import answer_audio, serving
from otel_tts.recording.request import Request, is_acceptable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADER: Final = b"x-request-id"

_UPGRADES: Final = {"websocket.accept": 101, "websocket.close": 403}

_LENGTH: Final = b"content-length"
_GONE: Final = {"uvicorn": "disconnected", "gunicorn": "_closed"}
"""What the owner of a server's `receive` (uvicorn's cycle, gunicorn's body receiver) says of its connection."""


@functools.cache
def _flag_of(server: type) -> str | None:
    return _GONE.get(server.__module__.partition(".")[0])


class Answer:
    """Takes the place of `receive` and `send`; `heads` are the types of messages that carry headers."""

    def __init__(self, current: Request, receive: Receive, send: Send, heads: frozenset[str]) -> None:
        self._current, self._heads = current, heads
        self._receive, self._send = receive, send
        self._left: int | None = None
        self._server = getattr(receive, "__self__", None)
        flag = _flag_of(self._server.__class__)
        self._flag = flag if flag is not None and isinstance(getattr(self._server, flag, None), bool) else None
        self._queue: Any = vars(self._server)["_queue"] if isinstance(self._server, asyncio.Queue) else None
        self._watched = self._flag is not None or self._queue is not None
        if self._watched:
            current.is_gone = self._has_left

    async def receive(self) -> Message:
        """Receive, and note that the client has gone before its answer was complete."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._current.end(perf_counter_ns(), left=True)
        return message

    async def send(self, message: Message) -> None:
        """Send, with the request's id in the head, and note when the answer is complete."""
        message = contain("asgi.header", self._prepare, message) or message
        try:
            await self._send(message)
        finally:  # it is looked at when it is out
            if self._current.body is not None and message["type"] == "http.response.body":
                contain("asgi.audio", answer_audio.take, self._current, message)
        if message["type"] not in self._heads:  # with a head no answer is complete
            contain("asgi.body", self._note_sent, message)

    def _prepare(self, message: Message) -> Message:
        kind = message["type"]
        if self._watched and self._has_left():
            self._current.end(perf_counter_ns(), left=True)
        if kind == "http.response.body":
            return message
        self._note_status(kind, message)
        return self._settle_id(kind, message) if kind in self._heads else message

    def _has_left(self) -> bool:
        """Whether the server knows that the client has gone: by its flag, or by a message that nobody has received."""
        if self._queue is not None:  # hypercorn's, daphne's
            return any(message["type"] == "http.disconnect" for message in self._queue)
        return self._flag is not None and getattr(self._server, self._flag)

    def _note_status(self, kind: str, message: Message) -> None:
        """A WebSocket that is closed before it was accepted is answered with 403 by the server."""
        current = self._current
        if kind in ("http.response.start", "websocket.http.response.start"):
            current.status = message["status"]
        elif current.status is None and kind in _UPGRADES:
            current.status = _UPGRADES[kind]

    def _note_sent(self, message: Message) -> None:
        if self._current.ended is None and self._is_last(message["type"], message):
            self._current.end(perf_counter_ns())
            serving.answered(self._current)

    def _settle_id(self, kind: str, message: Message) -> Message:
        """The application's own id is the one that the client holds; where it gives none, it gets the request's."""
        current = self._current
        headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
        said: dict[bytes, bytes] = {}
        for name, value in headers:
            said.setdefault(bytes(name).lower(), value)
        length = said.get(_LENGTH, b"")
        if length.isdigit():
            self._left = current.length = int(length)
        if kind == "http.response.start":
            contain("asgi.audio", answer_audio.begin, current, message["status"], said)
        if (given := said.get(HEADER)) is None:
            headers.append((HEADER, current.id.encode()))
        elif is_acceptable(text := bytes(given).decode("latin-1")):
            current.rename(text)
        return {**message, "headers": headers}

    def _is_last(self, kind: str, message: Message) -> bool:
        """Whether the answer is complete with `message`: nothing comes after it, or all that was announced is sent."""
        if kind == "http.response.pathsend":
            return True
        if kind != "http.response.body":
            return False
        if not message.get("more_body", False):
            return True
        if self._left is None:
            return False
        self._left -= len(message.get("body", b""))
        return self._left <= 0

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How a stream ended, behind its last byte: a trailer of HTTP, for a client that takes one (``TE: trailers``) under a
server that has them (ASGI's extension ``http.response.trailers``: hypercorn over HTTP/2, for one).

The head has said 200 before anything could fail, and an application that catches what its engine raised ends the body
as if all were well. What only the samples tell is not waited for: who wants it asks by the request's id.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.answer import Message, Send
from otel_tts.recording.request import Request

FIELD: Final = b"x-tts-outcome"
COMPLETE: Final = "complete"
"""It ended without an error. Whether its audio is sound is judged off the request's path."""
UNKNOWN: Final = "unknown"
"""There was none, or it goes on."""

_EXTENSION: Final = "http.response.trailers"
_SENDS_FILES: Final = "http.response.pathsend"
_BODILESS: Final = frozenset({204, 304})
_WORST_FIRST: Final = (
    names.Outcome.ERROR, names.Outcome.ANOMALOUS, names.Outcome.REJECTED, names.Outcome.CANCELLED, UNKNOWN, COMPLETE,
)  # fmt: skip


def put_before(send: Send, scope: MutableMapping[str, Any], current: Request) -> Send | None:
    """Return what the answer of the request `current` is sent by; None where nobody asks for a trailer."""
    return Trailer(current, send).send if _is_asked_for(scope) else None


def _is_asked_for(scope: MutableMapping[str, Any]) -> bool:
    """Whether the server has trailers and the client takes them, for an answer that has a body."""
    extensions = scope.get("extensions")
    if not extensions or _EXTENSION not in extensions or _SENDS_FILES in extensions or scope["method"] == "HEAD":
        return False
    return any(name == b"te" and _names_trailers(value) for name, value in scope["headers"])


def _names_trailers(value: bytes) -> bool:
    return any(part.strip().lower() == b"trailers" for part in value.split(b","))


class Trailer:
    """Stands between the application and the edge's own `send` for one answer. Its body passes as it is."""

    def __init__(self, current: Request, send: Send) -> None:
        self._current, self._send = current, send
        self._syntheses: list[Any] = []
        self._announced = False
        self._tell, current.begun = current.begun, self._note

    def _note(self, synthesis: Any) -> None:
        self._syntheses.append(synthesis)
        if self._tell is not None:
            self._tell(synthesis)

    async def send(self, message: Message) -> None:
        """Send; the head announces the trailer, which follows the last piece."""
        if message["type"] == "http.response.start" and (announcing := contain("trailer", self._announce, message)):
            message, self._announced = announcing, True
        await self._send(message)
        if self._announced and message["type"] == "http.response.body" and not message.get("more_body", False):
            self._announced = False
            said = contain("trailer", self._outcome) or UNKNOWN
            await self._send({"type": _EXTENSION, "headers": [(FIELD, said.encode())], "more_trailers": False})

    def _announce(self, message: Message) -> Message | None:
        """None for an answer that is no speech, has trailers of its own, or no body."""
        headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
        if message.get("trailers") or message["status"] in _BODILESS or not (self._syntheses or _is_audio(headers)):
            return None
        return {**message, "trailers": True, "headers": [*headers, (b"trailer", FIELD)]}

    def _outcome(self) -> str:
        """The worst of the syntheses that were made for this request."""
        return min(map(_outcome_of, self._syntheses), key=_WORST_FIRST.index, default=UNKNOWN)


def _outcome_of(synthesis: Any) -> str:
    if synthesis.t1 is None:
        return UNKNOWN
    settled = synthesis.attrs.get(names.OUTCOME)
    return COMPLETE if settled in (None, names.Outcome.OK) else settled


def _is_audio(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and value.lower().startswith(b"audio/") for name, value in headers)

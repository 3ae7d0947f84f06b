# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio that leaves as a web answer: the body's header and size, or the file that Starlette's ``FileResponse`` sends.

Only bodies with an audio type are looked at. Their pieces are counted, and held at the beginning and the end as far as
a header needs them (`otel_tts.audio.files.excerpt`); nothing is copied before the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_tts.audio.files.excerpt import Passing
from otel_tts.audio.files.file import claim_of_name
from otel_tts.guard import contain
from otel_tts.instrumentation.wrapping import wrap_in
from otel_tts.recording import pieces, request
from otel_tts.recording.delivered import note_file
from otel_tts.recording.request import Request

_FILE: Final = object()
"""A request's `body` once its file has been noted: the body is that file."""


def patch(module: Any) -> None:
    """Wrap Starlette's answer by file."""
    wrap_in(module, "FileResponse.__call__", _send_file)


def _send_file(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    contain("answer_audio", _note_path, instance)
    return wrapped(*args, **kwargs)


def _note_path(response: Any) -> None:
    web = request.current.get()
    speaks = is_audio(response.media_type or "") or claim_of_name(str(response.path)) is not None
    if web is not None and speaks and note_file(web, response.path, returned=True):
        web.body = _FILE


def is_audio(media_type: str) -> bool:
    """Whether a media type is one of sound."""
    return media_type.lower().startswith(("audio/", "application/ogg"))


def begin(web: Request, status: int, headers: Mapping[bytes, bytes]) -> None:
    """An answer of ASGI begins: from here on its body is looked at where it is audio, as it was made, and whole.

    `headers` are by lower-case names.
    """
    if (media_type := headers.get(b"content-type")) is None:
        web.body = None
        return
    encoding, length = headers.get(b"content-encoding", b""), headers.get(b"content-length", b"")
    expect(web, status, media_type.decode("latin-1"), encoding.decode("latin-1"), length.decode("latin-1"))


def expect(web: Request, status: int | None, media_type: str = "", encoding: str = "", length: str = "") -> None:
    """An answer begins that says this of itself; what it does not say is empty. See `begin`."""
    noted, web.body = web.body, None
    if media_type and noted is None and status == 200 and is_audio(media_type) and encoding in ("", "identity"):
        web.body = _Body(media_type, length)


def take(web: Request, body: Any) -> None:
    """A piece of the body is about to be handed over; with the last one the answer is noted."""
    if piece := body.get("body", b""):
        add(web, piece)
    if not body.get("more_body", False):
        finish(web)


def add(web: Request, piece: bytes) -> None:
    """A piece of the body is about to be handed over."""
    answer: _Body = web.body
    answer.passing.add(piece)


def finish(web: Request) -> None:
    """The body was handed over: note it."""
    answer, web.body = web.body, None
    if not answer.is_of(answer.passing.size):  # an answer to HEAD has no body
        return
    synthesis: Any = web.synthesis or pieces.become_synthesis(web)
    if synthesis is None:
        return
    if (taker := synthesis.recorder.taker) is not None:
        excerpt = answer.passing.excerpt()
        excerpt.media_type = answer.media_type
        taker.note_excerpt(synthesis, excerpt, returned=True, shared=web.syntheses > 1)


class _Body:
    __slots__ = ("_length", "media_type", "passing")

    def __init__(self, media_type: str, length: str) -> None:
        self.passing, self.media_type, self._length = Passing(None), media_type, length

    def is_of(self, size: int) -> bool:
        return self._length in ("", str(size))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hands files that a request wrote or answered with to the reader; only the open file goes on, never its path."""

from __future__ import annotations

import io
import os
from typing import Any

from otel_tts.audio.files.excerpt import Excerpt, Passing
from otel_tts.audio.files.header import sniff
from otel_tts.guard import contain
from otel_tts.recording import request
from otel_tts.recording.request import Request
from otel_tts.recording.synthesis import Synthesis, current

_HEADER = 4096
"""Bytes that tell a file's bytes from samples."""


def note_file(owner: Synthesis | Request | None, path: object, *, returned: bool = False) -> bool:
    """Note a finished file of `owner` (default: of the current synthesis or request); True where it is one.

    A request's file belongs to its newest synthesis. Anything that names no regular file is left alone; a buffer in
    memory is looked at as far as a header needs it. `returned`: it is the answer, which goes before what was only
    written. Costs a stat and an open; never raises.
    """
    return contain("files", _note, owner, path, returned) or False


def note_encoded(synthesis: Synthesis, data: bytes | bytearray | memoryview, *, returned: bool = False) -> bool:
    """Note audio that a call returned as the bytes of a file; True where that is what they are."""
    return contain("files", _note_encoded, synthesis, data, returned) or False


def _note_encoded(synthesis: Synthesis, data: bytes | bytearray | memoryview, returned: bool) -> bool:
    if sniff(bytes(data[:_HEADER]), complete=False) is None:
        return False
    return _take_excerpt(synthesis, Excerpt.of(memoryview(data)), returned)


def note_passed(synthesis: Synthesis, passing: Passing) -> bool:
    """Note a file that was handed over in pieces, now that the last one has passed."""
    return contain("files", _take_excerpt, synthesis, passing.excerpt(), True) or False


def current_synthesis() -> Synthesis | None:
    """Return the open synthesis, else the newest one of the request: services encode after the engine has returned."""
    inside = current()
    if inside is not None:
        return inside
    web = request.current.get()
    return web.synthesis if web is not None else None


def _note(owner: Synthesis | Request | None, path: object, returned: bool) -> bool:
    if not isinstance(path, (str, bytes, os.PathLike, io.BytesIO)) or not path:
        return False
    synthesis: Any = owner.synthesis if isinstance(owner, Request) else owner or current_synthesis()
    if synthesis is None:
        return False
    if isinstance(path, io.BytesIO):
        return not path.closed and _note_buffer(synthesis, path, returned)
    taker = synthesis.recorder.taker
    return taker is not None and taker.note_file(synthesis, path, returned)


def _note_buffer(synthesis: Synthesis, buffer: io.BytesIO, returned: bool) -> bool:
    with buffer.getbuffer() as data:  # while it is held the buffer cannot grow
        excerpt = Excerpt.of(data)
    return _take_excerpt(synthesis, excerpt, returned)


def _take_excerpt(synthesis: Synthesis, excerpt: Excerpt, returned: bool) -> bool:
    if (taker := synthesis.recorder.taker) is None:
        return False
    taker.note_excerpt(synthesis, excerpt, returned)
    return True

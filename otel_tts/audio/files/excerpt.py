# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio that was never a file (a buffer, the body of an answer): its beginning, its end and how much it was.

That is what a header needs: the middle is not kept.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence
from typing import Final

HEAD: Final = 1 << 16
"""Bytes of the beginning."""
TAIL: Final = 1 << 17
"""Bytes of the end: where the last page of an Ogg stream begins."""

_MOST_HELD: Final = 2 * (HEAD + TAIL)
"""Bytes of pieces that may wait to be cut."""

_numbers: Final = itertools.count()


class Excerpt:
    """What is kept of it, which is all of it up to `HEAD` + `TAIL` bytes. `claim` is the format that it goes by, or
    where that has not been asked yet `media_type` what an answer says of it."""

    __slots__ = ("_head", "_tail", "claim", "media_type", "size", "state")

    def __init__(self, head: Sequence[bytes], tail: Sequence[bytes], size: int, claim: str | None = None) -> None:
        """Take the pieces at its beginning and at its end, which are cut when they are looked at."""
        self._head, self._tail, self.size, self.claim = head, tail, size, claim
        self.media_type = ""
        self.state = (-1, next(_numbers), size, 0)
        """Tells it from files and from other excerpts."""

    @classmethod
    def of(cls, data: bytes | memoryview, claim: str | None = None) -> Excerpt:
        """Copy what is to be kept of `data`."""
        size = len(data)
        return cls((bytes(data[:HEAD]),), (bytes(data[max(HEAD, size - TAIL) :]),), size, claim)

    def parts(self) -> tuple[bytes, bytes]:
        """Return its beginning and its end."""
        rest = min(TAIL, max(0, self.size - HEAD))
        head, tail = b"".join(self._head)[:HEAD], b"".join(self._tail)[-rest:] if rest else b""
        self._head, self._tail = (head,), (tail,)
        return head, tail

    def is_same(self, other: Excerpt) -> bool:
        """Whether the two are of the same bytes, as far as can be told."""
        return self.size == other.size and self.parts() == other.parts()

    def open(self) -> ExcerptFile:
        """Return what reads like the file that it never was."""
        return ExcerptFile(self)

    def close(self) -> None:
        """Nothing: as an open file has it."""


class ExcerptFile:
    """Reads an excerpt; in the part that is missing it is shorter than asked for."""

    def __init__(self, excerpt: Excerpt) -> None:
        (self._head, self._tail), self._at = excerpt.parts(), 0
        self._gap = excerpt.size - len(self._tail)
        """Where the end begins."""
        self.whole = self._gap <= len(self._head)

    def seek(self, position: int) -> int:
        self._at = position
        return position

    def read(self, length: int) -> bytes:
        head, tail, at = self._head, self._tail, self._at
        data = head[at : at + length]
        if at + len(data) >= self._gap:
            start = at + len(data) - self._gap
            data += tail[start : start + length - len(data)]
        self._at += len(data)
        return data


class Passing:
    """Audio that passes in pieces: the pieces at its beginning and at its end are held, none is copied."""

    __slots__ = ("_claim", "_head", "_last", "held", "size")

    def __init__(self, claim: str | None) -> None:
        self._claim = claim
        self._head: list[bytes] = []
        self._last: collections.deque[bytes] = collections.deque()
        self.held = self.size = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        if self.size < HEAD:
            self._head.append(piece)
        self.size += len(piece)
        self._last.append(piece)
        self.held += len(piece)
        while self.held - len(self._last[0]) >= TAIL:
            self.held -= len(self._last.popleft())

    def excerpt(self) -> Excerpt:
        """Return what is kept of it. The copy is left to who looks: this is on the path of an answer."""
        kept = Excerpt(tuple(self._head), tuple(self._last), self.size, self._claim)
        held = (*self._head, *self._last)
        if sum(map(len, held)) > _MOST_HELD or any(type(piece) is not bytes for piece in held):
            kept.parts()  # they are too many, or may change
        return kept

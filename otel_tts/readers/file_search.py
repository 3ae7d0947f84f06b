# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of a plain file that contain one of a few texts, without looking at the others: a gigabyte in half a second.

A line is an export of some hundred spans, and most of a file is passed over by searching its bytes; lines are parted
only where something was found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

BLOCK: Final = 256 * 1024
"""Bytes that are searched at once: they stay in the processor's cache."""

_STEP: Final = 64 * 1024
"""Bytes that are read at once in looking for a line's ends, and for how a file is written."""

_FEW: Final = 3
"""Texts that are searched one after the other; of more ids each that stands in the file is looked up."""


@dataclass(frozen=True)
class Found:
    """A line, its first byte and the one after it; `line` is None where it is longer than is read.

    `ended`: it has its line feed.
    """

    begin: int
    end: int
    line: bytes | None
    ended: bool


class Needle(Protocol):
    """What is looked for. `longest` is the most bytes that one takes."""

    @property
    def longest(self) -> int: ...

    def first(self, text: bytes | bytearray, begin: int, end: int) -> int:
        """Where one stands first between `begin` and `end`, -1 where none does."""
        ...


class Texts:
    """One of some texts."""

    def __init__(self, texts: Collection[bytes]) -> None:
        # Without the last byte, most often a quote: a search goes by the last one, and quotes are everywhere.
        self._texts = [(text[:-1], text) for text in texts]
        self.longest = max(map(len, texts))

    def first(self, text: bytes | bytearray, begin: int, end: int) -> int:
        """Where one stands first between `begin` and `end`, -1 where none does."""
        places = [self._first(text, *one, begin, end) for one in self._texts]
        return min((place for place in places if place >= 0), default=-1)

    @staticmethod
    def _first(text: bytes | bytearray, most: bytes, whole: bytes, begin: int, end: int) -> int:
        place = text.find(most, begin, end)
        while place >= 0 and not text.startswith(whole, place, end):
            place = text.find(most, place + 1, end)
        return place


class Ids:
    """One of many trace ids, behind `key`: `"traceId":"` as this file writes it."""

    def __init__(self, key: bytes, ids: Collection[bytes]) -> None:
        self._key, self._ids = key, frozenset(ids)
        self.longest = len(key) + 32

    def first(self, text: bytes | bytearray, begin: int, end: int) -> int:
        """Where one stands first between `begin` and `end`, -1 where none does."""
        key, width, ids = self._key, len(self._key), self._ids
        place = text.find(key, begin, end)
        while place >= 0 and bytes(text[place + width : place + width + 32]) not in ids:
            place = text.find(key, place + 1, end)
        return place if place + self.longest <= end else -1


class Search(Protocol):
    """What finds something in a file. `ids` are what an index may be asked for, None for what is no id."""

    @property
    def ids(self) -> tuple[bytes, ...] | None: ...

    def needle(self, head: bytes) -> Needle:
        """What to look for in a file that begins with `head`, which tells how it is written."""
        ...


class OfText:
    """Looks for lines with a text."""

    ids: tuple[bytes, ...] | None = None

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def needle(self, head: bytes) -> Needle:
        """What to look for in a file that begins with `head`."""
        return Texts([self._text])


class OfRequest(OfText):
    """Looks for lines with a request's id, of letters that JSON writes in one way only."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f'"{request_id}"')
        self.ids = (request_id.encode(),)


class OfTraces:
    """Looks for lines with one of some trace ids, which a file may write in capital letters."""

    def __init__(self, trace_ids: Collection[str]) -> None:
        self.ids: tuple[bytes, ...] | None = tuple(one.encode() for one in trace_ids)

    def needle(self, head: bytes) -> Needle:
        """What to look for in a file that begins with `head`."""
        known = re.search(rb'"traceId"\s*:\s*"(?=[0-9a-fA-F]{32}")', head)
        written = list(self.ids or ())
        if known is None or re.search(rb'"traceId"\s*:\s*"[0-9]*[A-F]', head):
            written += [one.upper() for one in written]
        return Texts(written) if known is None or len(written) <= _FEW else Ids(known.group(), written)


def head(file: BinaryIO) -> bytes:
    """The first bytes of a plain file."""
    return os.pread(file.fileno(), _STEP, 0)


def lines_with(file: BinaryIO, needle: Needle, longest: int, begin: int = 0, end: int | None = None) -> Iterator[Found]:
    """Yield the lines that contain what is looked for, in order; of those longer than `longest` bytes only the place.

    `file` is unbuffered. It is looked through from `begin`, where a line begins, to `end`, where one ends. Raises
    OSError.
    """
    number = file.fileno()
    stop = os.fstat(number).st_size if end is None else end
    overlap = needle.longest - 1
    buffer = bytearray(overlap + BLOCK)
    window = memoryview(buffer)
    at = done = begin
    kept = 0
    while at < stop and (read := os.preadv(number, [window[kept : kept + min(BLOCK, stop - at)]], at)):
        first, filled = at - kept, kept + read
        while (place := needle.first(buffer, max(0, done - first), filled)) >= 0:
            found = _line_at(number, first + place, done, longest)
            done = max(found.end, first + place + 1)  # the file may have been cut meanwhile
            yield found
        at += read
        kept = min(overlap, filled)
        buffer[:kept] = buffer[filled - kept : filled]


def _line_at(number: int, place: int, least: int, longest: int) -> Found:
    """The line around `place`; it begins at `least` or later."""
    begin = line_begin(number, place, least)
    end = _line_end(number, place)
    ended = os.pread(number, 1, end) == b"\n"
    size = end - begin
    line = _read(number, begin, size) if size <= longest else None
    return Found(begin, end + ended, line, ended)


def line_begin(number: int, place: int, least: int = 0) -> int:
    """Where the line begins that `place` lies in, of the open file `number`."""
    while place > least:
        step = max(least, place - _STEP)
        feed = os.pread(number, place - step, step).rfind(b"\n")
        if feed >= 0:
            return step + feed + 1
        place = step
    return least


def _line_end(number: int, place: int) -> int:
    """Where the line's feed is, or the end of the file."""
    while text := os.pread(number, _STEP, place):
        feed = text.find(b"\n")
        if feed >= 0:
            return place + feed
        place += len(text)
    return place


def _read(number: int, begin: int, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := os.pread(number, size, begin)):
        pieces.append(piece)
        begin, size = begin + len(piece), size - len(piece)
    return b"".join(pieces)


def count_lines(number: int, end: int) -> int:
    """How many lines end before `end`."""
    count = at = 0
    while at < end and (text := os.pread(number, min(BLOCK, end - at), at)):
        count += text.count(b"\n")
        at += len(text)
    return count

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of headers (`wav`, `flac`, `ogg`, `mp3`, `mp4`) share: what they find, and how they look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What a container says of the audio in it. None is unknown."""

    format: str
    duration: float | None = None
    """Seconds that a player plays: less than the header promises where the data ends before, all links of a chain."""
    sample_rate: int | None = None
    channels: int | None = None
    size: int | None = None
    """Bytes, header and all."""
    cut: bool = False
    """The data ends before what the header promises, or without the mark of its end."""
    links: int = 1
    """Files in one: chained Ogg, or MP3 and FLAC written one after the other, a sentence each."""


class Readable(Protocol):
    """An open file, or what reads like one."""

    def seek(self, position: int, /) -> int: ...

    def read(self, length: int, /) -> bytes: ...


class View:
    """Looks into an open file by position, with a few large reads.

    `size` is where it ends; None: more is to come, only its head is there. Of an `Excerpt` the middle is missing: what
    is asked for there is shorter than asked for. `deep` False: a few blocks have to do.
    """

    def __init__(self, file: Readable, size: int | None, deep: bool = True) -> None:
        self._file, self.size = file, size
        self.whole = getattr(file, "whole", True)
        """Nothing is missing in the middle."""
        self.deep = deep and self.whole
        self._at, self._block = 0, b""

    def at(self, position: int, length: int) -> bytes:
        """Return up to `length` bytes from `position` on."""
        start = position - self._at
        if start < 0 or start + length > len(self._block):
            self._file.seek(position)
            self._at, self._block = position, self._file.read(max(length, _BLOCK))
            start = 0
        return self._block[start : start + length]

    def find(self, mark: bytes, start: int, end: int) -> int:
        """Return where `mark` begins first between `start` and `end`; -1 where it does not, or a part is missing."""
        while start < end:
            block = self.at(start, min(_BLOCK, end - start))
            if (found := block.find(mark)) >= 0:
                return start + found
            if len(block) < len(mark):
                return -1
            start += len(block) - len(mark) + 1
        return -1

    def find_all(self, mark: bytes, start: int, end: int) -> Iterator[int]:
        """Yield where `mark` begins, each time, between `start` and `end`."""
        while (start := self.find(mark, start, end)) >= 0:
            yield start
            start += len(mark)

    def tail(self, length: int) -> tuple[int, bytes]:
        """Return the last `length` bytes, or what there is of them, and where they begin."""
        end = self.size or 0
        start = max(0, end - length)
        return start, self.at(start, end - start)

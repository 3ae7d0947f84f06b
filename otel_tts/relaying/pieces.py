# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Long messages in pieces that fit: WeChat Work counts bytes of UTF-8 and refuses what has one too many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_NUMBER: Final = 16
"""Bytes kept free for `(12/34)` and a line feed."""


def split(text: str, most: int) -> list[str]:
    """`text` in pieces of at most `most` bytes (64 at least), cut between lines, and inside a line only where it is
    longer than a piece. Several are numbered."""
    if len(text.encode()) <= most:
        return [text]
    pieces = list(_gather(_rows(text, most - _NUMBER), most - _NUMBER))
    return [f"({number}/{len(pieces)})\n{piece}" for number, piece in enumerate(pieces, 1)]


def _gather(rows: Iterator[str], most: int) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for row in rows:
        more = len(row.encode()) + 1
        if held and size + more > most + 1:
            yield "\n".join(held)
            held, size = [], 0
        held.append(row)
        size += more
    if held:
        yield "\n".join(held)


def _rows(text: str, most: int) -> Iterator[str]:
    for row in text.split("\n"):
        while len(row.encode()) > most:
            first = row.encode()[:most].decode("utf-8", "ignore")  # a letter that is cut goes to the next
            yield first
            row = row[len(first) :]
        yield row

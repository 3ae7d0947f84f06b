# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The Collector's files of log records: the one that it writes, and those that it has put aside when they were full."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from otel_tts.archiving.ledger import Ledger, Source

LIVE: Final = "logs.jsonl"
LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes of a line; a longer one is none that the Collector writes, and is kept in pieces as one that is broken."""

_HEAD: Final = 4096


@dataclass(frozen=True)
class Found:
    """A file that is there: `key` is its number on the disk, `changed` its time of change (Unix seconds)."""

    path: Path
    key: str
    size: int
    changed: float

    @property
    def live(self) -> bool:
        """Whether the Collector still writes it."""
        return self.path.name == LIVE


def find(folder: Path) -> list[Found]:
    """The files of a folder, the oldest first. Raises OSError where it cannot be read."""
    os.listdir(folder)
    found: list[Found] = []
    for path in folder.glob("logs*.jsonl"):
        with suppress(FileNotFoundError):  # it was put aside just now, and is found under its new name
            found.append(_found(path, path.stat()))
    return sorted(found, key=lambda one: (one.live, one.changed, one.path.name))


def look(path: Path, file: BinaryIO) -> Found:
    """The same of an open file: under its name may be another one by now."""
    return _found(path, os.fstat(file.fileno()))


def _found(path: Path, about: os.stat_result) -> Found:
    return Found(path, f"{about.st_dev}:{about.st_ino}", about.st_size, about.st_mtime)


def known(ledger: Ledger, found: Found, file: BinaryIO) -> Source:
    """What the ledger says of an open file; a new entry where it is another one under the same number."""
    source = ledger.sources.get(found.key)
    if source is None or _head(file, source.head_bytes)[0] != source.head:
        source = Source(*_head(file, _HEAD))
        ledger.sources[found.key] = source
    elif not source.done:  # it may have been shorter
        source.head, source.head_bytes = _head(file, _HEAD)
    return source


def is_read(ledger: Ledger, found: Found) -> bool:
    """Whether all that is in a file was read. Its number does not tell: that of a removed file is given to another."""
    source = ledger.sources.get(found.key)
    if source is None or source.done != found.size:
        return False
    try:
        with found.path.open("rb") as file:
            return look(found.path, file) == found and _head(file, source.head_bytes)[0] == source.head
    except FileNotFoundError:
        return False


def lines(file: BinaryIO, live: bool) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file from where it stands, and whether each is whole; of a `live` one whole ones only."""
    while line := file.readline(LONGEST_LINE):
        whole = line.endswith(b"\n")
        if live and not whole:
            return
        yield line, whole


def _head(file: BinaryIO, size: int) -> tuple[str, int]:
    """What tells a file from others: a hash of its first bytes, and of how many."""
    file.seek(0)
    begun = file.read(size)
    return hashlib.sha256(begun).hexdigest(), len(begun)

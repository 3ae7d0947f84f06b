# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what is new in the Collector's files into pieces, one a day; all at once, or not at all."""

from __future__ import annotations

import gzip
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final

from otel_tts import durable
from otel_tts.archiving import ledger as ledgers
from otel_tts.archiving import sources
from otel_tts.archiving.days import NotRecords, split
from otel_tts.archiving.ledger import Ledger, Piece
from otel_tts.readers.day_files import utc_day

PIECES: Final = "pieces"
LEFT_OUT: Final = "left-out"
_OPEN: Final = 32
"""Pieces that are written at once; records of more days come from clocks that were never set."""


@dataclass
class _Writing:
    """Pieces of one run while they are written."""

    folder: Path
    run: int
    open: dict[str, gzip.GzipFile] = field(default_factory=dict[str, gzip.GzipFile])
    lines: Counter[str] = field(default_factory=Counter[str])

    def add(self, day: date, line: bytes) -> None:
        """One more line of a day."""
        key = f"{day:%Y%m%d}"
        if key not in self.open:
            if len(self.open) >= _OPEN:
                self._close(next(iter(self.open)))
            if not self.lines[key]:
                _private(self.path(key)).close()  # empty, where a run that was killed left one
            self.open[key] = gzip.GzipFile(self.path(key), "ab")
        self.open[key].write(line.rstrip(b"\r\n") + b"\n")
        self.lines[key] += 1

    def path(self, key: str) -> Path:
        return self.folder / f"{key}-{self.run}.jsonl.gz"

    def close(self) -> None:
        """Have all of it on the disk."""
        for key in list(self.open):
            self._close(key)
        durable.sync(self.folder)

    def _close(self, key: str) -> None:
        self.open.pop(key).close()
        handle = os.open(self.path(key), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def collect(folder: Path, home: Path, ledger: Ledger, say: Callable[[str], None]) -> int:
    """Read what is new in `folder` into pieces below `home`; return how many lines there were.

    Lines that are none of log records are kept apart (`left-out`), counted and said. Raises OSError.
    """
    ledger.run += 1
    writing, taken = _Writing(home / PIECES, ledger.run), time.time()
    left: list[bytes] = []
    found = sources.find(folder)
    for one in found:
        try:
            file = one.path.open("rb")
        except FileNotFoundError:
            continue  # it was put aside just now; the next run reads it
        with file:
            _read(sources.look(one.path, file), file, ledger, writing, left)
    writing.close()
    for key, count in writing.lines.items():
        ledger.pieces.append(Piece(key, writing.path(key).name, ledger.run, count, taken))
    if left:
        _keep_apart(home / LEFT_OUT, ledger, left)
        say(f"{len(left)} lines are none of log records; they are kept in {home / LEFT_OUT}")
    # Looked at twice: a file that gets another name meanwhile may be missed once.
    here = {one.key for one in (*found, *sources.find(folder))}
    ledger.sources = {
        key: source for key, source in ledger.sources.items() if key in here or source.runs[-1:] == [ledger.run]
    }
    ledgers.save(home, ledger)
    return writing.lines.total()


def _read(one: sources.Found, file: BinaryIO, ledger: Ledger, writing: _Writing, left: list[bytes]) -> None:
    source = sources.known(ledger, one, file)
    file.seek(source.done)
    undated, before = utc_day(round(one.changed * 1e9)), source.done
    for line, whole in sources.lines(file, one.live):
        source.done += len(line)
        if not line.strip():
            continue
        try:
            for day, part in split(line, undated).items():
                writing.add(day, part)
        except NotRecords:
            left.append(line if whole else line + b"\n")
    if source.done > before:
        source.runs.append(writing.run)


def _keep_apart(folder: Path, ledger: Ledger, lines: list[bytes]) -> None:
    name = f"{ledger.run}.txt"
    with _private(folder / name) as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    durable.sync(folder)
    ledger.left_out.append(name)


def _private(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

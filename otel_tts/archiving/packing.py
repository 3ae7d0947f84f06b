# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes day files of pieces, once their day is over."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from otel_tts import durable
from otel_tts.archiving import ledger as ledgers
from otel_tts.archiving.collecting import PIECES
from otel_tts.archiving.ledger import Ledger, Part, Piece
from otel_tts.readers import day_files
from otel_tts.trouble import Trouble

DAYS: Final = "days"
LATE: Final = timedelta(hours=1)
"""Time after midnight for which records of the day before are still on their way."""

_BLOCK: Final = 1024 * 1024


def is_open(day: date, now: datetime) -> bool:
    """Whether more of a day is to come: it is today (or was an hour ago), or tomorrow by a clock that is ahead."""
    return (now - LATE).date() <= day <= (now + timedelta(days=1)).date()


def pack(home: Path, ledger: Ledger, now: datetime | None = None) -> None:
    """Make a day file of each day that is over. Raises OSError, Trouble."""
    now = now or datetime.now(timezone.utc)
    for key in sorted({piece.day for piece in ledger.pieces}):
        day = datetime.strptime(key, "%Y%m%d").date()
        if not is_open(day, now):
            _pack(home, ledger, key, day, [piece for piece in ledger.pieces if piece.day == key])


def _pack(home: Path, ledger: Ledger, key: str, day: date, pieces: list[Piece]) -> None:
    number = ledger.numbers.get(key, 0) + 1
    path = home / DAYS / day_files.name(day, number)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for piece in pieces:  # gzip files one after the other are one gzip file
            with (home / PIECES / piece.file).open("rb") as part:
                shutil.copyfileobj(part, file, _BLOCK)
        file.flush()
        os.fsync(file.fileno())
    durable.sync(path.parent)
    lines = sum(piece.lines for piece in pieces)
    if (there := _count_lines(path)) != lines:
        raise Trouble(
            f"{path} has {there} lines instead of {lines}: its disk does not keep what is written. Nothing was removed."
        )
    size, digest = fingerprint(path)
    runs, taken = [piece.run for piece in pieces], min(piece.taken for piece in pieces)
    ledger.parts.append(Part(key, path.name, runs, lines, size, digest, taken))
    ledger.numbers[key] = number
    ledger.pieces = [piece for piece in ledger.pieces if piece.day != key]
    ledgers.save(home, ledger)
    for piece in pieces:
        (home / PIECES / piece.file).unlink(missing_ok=True)


def fingerprint(path: Path) -> tuple[int, str]:
    """A file's bytes and their SHA-256. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _count_lines(path: Path) -> int:
    """How many lines come out of a packed file. Raises Trouble where it is no whole gzip file."""
    count = 0
    try:
        with gzip.open(path, "rb") as file:
            while block := file.read(_BLOCK):
                count += block.count(b"\n")
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise Trouble(f"{path} cannot be read back ({type(error).__name__}). Nothing was removed.") from None
    return count

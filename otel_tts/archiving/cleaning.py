# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Removes what is verified: here after some days, or sooner where the disk's bound asks for it; there after months.

What is not verified is never removed, whatever the bound and the clock say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from otel_tts.archiving import ledger as ledgers
from otel_tts.archiving import sources
from otel_tts.archiving.collecting import LEFT_OUT, PIECES
from otel_tts.archiving.ledger import Ledger
from otel_tts.archiving.packing import DAYS
from otel_tts.archiving.store import Store
from otel_tts.readers import day_files

_DAY_S: Final = 86400.0
_CLOCK: Final = "otel-tts-archive.txt"
_OFF: Final = timedelta(days=1)


@dataclass(frozen=True)
class _Removable:
    """A file whose records are all verified; `since` is when it was last changed or verified (Unix seconds)."""

    path: Path
    since: float
    size: int


def drop_leftovers(home: Path, ledger: Ledger) -> None:
    """Remove files that a killed run made and did not note: what they hold is still where it came from."""
    named = {
        PIECES: {piece.file for piece in ledger.pieces},
        DAYS: {part.file for part in ledger.parts},
        LEFT_OUT: set(ledger.left_out),
    }
    for folder, files in named.items():
        for path in (home / folder).iterdir():
            if path.name not in files:
                path.unlink()


def clean(folder: Path, home: Path, ledger: Ledger, keep_days: float, keep_bytes: int) -> int:
    """Remove verified files that are older than `keep_days`, and more, the oldest first, while all take more than
    `keep_bytes`. Return the bytes that are left. Raises OSError."""
    now, size = time.time(), occupied(folder, home)
    for one in sorted(_removable(folder, home, ledger), key=lambda one: one.since):
        if now - one.since > keep_days * _DAY_S or size > keep_bytes:
            one.path.unlink(missing_ok=True)
            size -= one.size
    ledger.parts = [part for part in ledger.parts if not part.verified or (home / DAYS / part.file).exists()]
    ledgers.save(home, ledger)
    return size


def occupied(folder: Path, home: Path) -> int:
    """Bytes of all files: the Collector's and ours. Raises OSError."""
    ours = [path for name in (PIECES, DAYS, LEFT_OUT) for path in (home / name).iterdir()]
    return sum(one.size for one in sources.find(folder)) + sum(path.stat().st_size for path in ours)


def _removable(folder: Path, home: Path, ledger: Ledger) -> Iterator[_Removable]:
    unsettled = ledger.unsettled()
    for part in ledger.parts:
        path = home / DAYS / part.file
        if part.verified and path.exists():
            yield _Removable(path, part.verified, part.size)
    for one in sources.find(folder):
        if not one.live and sources.is_read(ledger, one) and unsettled.isdisjoint(ledger.sources[one.key].runs):
            yield _Removable(one.path, one.changed, one.size)


def expire(store: Store, days: int) -> int:
    """Delete day files from the store that were written more than `days` ago by its own clock; return how many.

    Nothing where its clock and ours are a day apart, or it does not tell when things were written. Raises StoreFails.
    """
    now = _clock_of(store)
    if now is None:
        return 0
    count = 0
    for name in store.names():
        if day_files.day_of(name) is None:
            continue
        found = store.look(name)
        if found is not None and found.written is not None and now - found.written.timestamp() > days * _DAY_S:
            store.delete(name)
            count += 1
    return count


def _clock_of(store: Store) -> float | None:
    """The store's time, by what it says of a file written just now; None where it cannot be trusted."""
    store.note(_CLOCK)
    found = store.look(_CLOCK)
    if found is None or found.written is None:
        return None
    now = found.written.timestamp()
    return now if abs(now - time.time()) < _OFF.total_seconds() else None

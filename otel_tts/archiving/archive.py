# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One run: read what is new, make day files, upload and verify them, remove what is verified and old."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from otel_tts import alone
from otel_tts.archiving import ledger as ledgers
from otel_tts.archiving.cleaning import clean, drop_leftovers, expire
from otel_tts.archiving.collecting import LEFT_OUT, PIECES, collect
from otel_tts.archiving.figures import Figures, count
from otel_tts.archiving.packing import DAYS, pack
from otel_tts.archiving.store import Store
from otel_tts.archiving.uploading import upload
from otel_tts.trouble import Trouble, WrongUse


@dataclass(frozen=True)
class Limits:
    """Days that verified files stay here, bytes that all files may take here, days that they stay in the store (0:
    the store's own rule sees to it)."""

    keep_days: float = 7.0
    keep_bytes: int = 10 * 10**9
    expire_days: int = 90


@dataclass(frozen=True)
class Done:
    """What a run did. `failed` says why it could not go on to its end; empty where it did."""

    lines: int
    uploaded: int
    expired: int
    figures: Figures
    failed: str = ""


def run(folder: Path, home: Path, store: Store, limits: Limits, say: Callable[[str], None]) -> Done:
    """Archive the Collector's files of `folder`; `home` is a folder of our own. Raises Trouble."""
    if not folder.is_dir():
        raise Trouble(f"{folder} is no folder. Give the one that the Collector writes its log files into by --dir.")
    with _alone(home):
        try:
            return _run(folder, home, store, limits, say)
        except OSError as error:
            raise Trouble(f"{error.filename or home}: {error.strerror}. What was not verified is kept.") from None


def _run(folder: Path, home: Path, store: Store, limits: Limits, say: Callable[[str], None]) -> Done:
    ledger = ledgers.load(home)
    drop_leftovers(home, ledger)
    clean(folder, home, ledger, limits.keep_days, limits.keep_bytes)  # first: a full disk has room then
    lines = collect(folder, home, ledger, say)
    pack(home, ledger)
    uploaded = expired = 0
    failed = ""
    before = sum(not part.verified for part in ledger.parts)
    try:
        upload(home, ledger, store)
        expired = expire(store, limits.expire_days) if limits.expire_days else 0
    except Trouble as trouble:
        failed = str(trouble)
    uploaded = before - sum(not part.verified for part in ledger.parts)
    kept = clean(folder, home, ledger, limits.keep_days, limits.keep_bytes)
    if kept > limits.keep_bytes:
        say(f"{kept} bytes are kept here, more than --keep-bytes: what is not verified is never removed")
    return Done(lines, uploaded, expired, count(folder, home, ledger, kept), failed)


@contextmanager
def _alone(home: Path) -> Generator[None]:
    """Make our folder and keep other runs out. Raises WrongUse, Trouble."""
    try:
        for name in (PIECES, DAYS, LEFT_OUT):
            (home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        handle = alone.hold(home / ".lock", "run of the archive")
    except OSError as error:
        raise WrongUse(f"--state {home} cannot be used as a folder: {error.strerror}.") from None
    try:
        yield
    finally:
        os.close(handle)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A side index of large files: in which part of a file an id stands, so that a second question reads that part only.

It is made after an answer was given, by a process of its own that nobody waits for, and lies in the cache folder, a
SQLite file for each file, readable by its owner only. It holds checksums of ids and places. What it says is checked in
the file; and it is thrown away when the file's size, time or inode are not those that it was made of.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
import sys
import time
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, cast

LEAST: Final = 16 * 1024 * 1024
"""Bytes of a file that has an index; smaller ones are searched sooner than an index is opened."""

_PART: Final = 256 * 1024
"""Bytes, about, of the parts that the index tells apart; a part is whole lines."""

_QUIET_S: Final = 5.0
"""Seconds for which a file was left alone before it is indexed: one that grows would throw the index away."""

_ABANDONED_S: Final = 600.0
_UNUSED_S: Final = 30 * 86400.0
_VERSION: Final = 1

_ID: Final = re.compile(rb'\s*:\s*"(?:([0-9a-fA-F]{32}))?"')
_REQUEST: Final = re.compile(rb'(?:\.offered)?"\s*,\s*"value"\s*:\s*\{\s*"stringValue"\s*:\s*"([^"\\]*)"')


def places(path: Path, file: BinaryIO, ids: Collection[bytes]) -> list[tuple[int, int]] | None:
    """The parts of `path`, opened as `file`, in which one of `ids` may stand; None where there is no index for it.

    A packed file has one part: all of it.
    """
    state = os.fstat(file.fileno())
    if state.st_size < LEAST:
        return None
    index = _path(path)
    with suppress(OSError):
        if not _is_ours(index):
            return None
        return _places(index, state, ids)
    return None


def _places(index: Path, state: os.stat_result, ids: Collection[bytes]) -> list[tuple[int, int]] | None:
    import sqlite3  # only here: who has no large files does not wait for it

    keys = [_key(one) for one in ids]
    wanted = f"SELECT DISTINCT first, last FROM places WHERE key IN ({', '.join('?' * len(keys))}) ORDER BY first"
    try:
        with closing(sqlite3.connect(f"{index.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            (made_of,) = database.execute("SELECT made_of FROM about").fetchone()
            if made_of != _identity(state):
                index.unlink(missing_ok=True)
                return None
            return list(database.execute(wanted, keys))
    except (ValueError, TypeError, sqlite3.Error):  # torn, foreign or of another version: as if there were none
        index.unlink(missing_ok=True)
        return None


def start(paths: Iterable[Path]) -> subprocess.Popen[bytes] | None:
    """Begin to index those of `paths` that are large, at rest and have none yet, in a process that outlives this one.

    Never raises: without an index the next question takes longer, no more.
    """
    with suppress(OSError):
        wanted = [str(path.absolute()) for path in paths if _needs_one(path)]
        if wanted:
            child = subprocess.Popen(
                [sys.executable, "-m", __name__, *wanted],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            child.returncode = 0  # it is meant to run on: without this it would be warned of
            return child
    return None


def _needs_one(path: Path) -> bool:
    state = path.stat()
    if state.st_size < LEAST or time.time() - state.st_mtime < _QUIET_S:
        return False
    with path.open("rb") as file:
        return places(path, file, [b""]) is None


def build(path: Path) -> bool:
    """Make the index of a file; False where another process is at it, or the file was written to meanwhile.

    Raises OSError, ValueError where the file is written in a way that cannot be indexed.
    """
    import sqlite3

    index = _path(path)
    index.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_old(index.parent)
    part = index.with_suffix(".part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    try:
        with path.open("rb", buffering=0) as file, closing(sqlite3.connect(part, isolation_level=None)) as database:
            made_of = _identity(os.fstat(file.fileno()))
            database.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; BEGIN;"
                "CREATE TABLE about (made_of TEXT, path TEXT);"
                "CREATE TABLE places (key INTEGER, first INTEGER, last INTEGER);"
            )
            for first, last, ids in _parts(path, file):
                database.executemany("INSERT INTO places VALUES (?, ?, ?)", ((_key(one), first, last) for one in ids))
            database.execute("CREATE INDEX by_key ON places (key, first, last)")
            database.execute("INSERT INTO about VALUES (?, ?)", (made_of, str(path)))
            database.execute("COMMIT")
        if _identity(path.stat()) != made_of:
            return False
        part.replace(index)
        return True
    finally:
        part.unlink(missing_ok=True)


def _parts(path: Path, file: BinaryIO) -> Iterator[tuple[int, int, set[bytes]]]:
    """Yield where each part begins and ends, and the ids in it. Of a packed file all parts are the same: 0 to 0."""
    packed = path.suffix == ".gz"
    lines = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    at, rest = 0, b""
    all_ids: set[bytes] = set()
    while block := lines.read(_PART):
        whole, feed, begun = (rest + block).rpartition(b"\n")
        if not feed:
            rest = begun
            continue
        ids = ids_in(whole)
        if packed:
            yield 0, 0, ids - all_ids
            all_ids |= ids
        else:
            yield at, at + len(whole) + 1, ids
        at, rest = at + len(whole) + 1, begun
    if rest:
        yield (0, 0, ids_in(rest)) if packed else (at, at + len(rest), ids_in(rest))


def ids_in(lines: bytes) -> set[bytes]:
    """The trace ids, in small letters, and the request ids in some lines.

    Raises ValueError where one is written in a way that is not known: then a search of the bytes is to be trusted more.
    """
    found: set[bytes] = set()
    _, *traces = lines.split(b'"traceId"')
    for text in traces:
        if text[:2] == b':"' and text[34:35] == b'"':
            found.add(text[2:34])
        elif (known := _ID.match(text)) is None:
            raise ValueError("a trace id is written in a way that is not known")
        elif known[1]:
            found.add(known[1])
    found = {one.lower() for one in found}
    before, *requests = lines.split(b'"request_id')
    for text in requests:
        if (known := _REQUEST.match(text)) is not None:
            found.add(known[1])
        elif not before.endswith(b"\\"):  # as in a text that is itself JSON
            raise ValueError("a request id is written in a way that is not known")
        before = text
    return found


def _path(path: Path) -> Path:
    return _folder() / f"{sha256(str(path.absolute()).encode(errors='surrogateescape')).hexdigest()[:32]}.index"


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "otel-tts" / "find"


def _is_ours(index: Path) -> bool:
    """Whether there is an index that nobody else could have put there. Raises OSError where there is none."""
    for one in (index, index.parent):
        state = one.lstat()
        if state.st_uid != os.geteuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
    return True


def _identity(state: os.stat_result) -> str:
    return f"{_VERSION} {state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns}"


def _key(one: bytes) -> int:
    return zlib.crc32(one)


def _remove_old(folder: Path) -> None:
    """Remove indexes that nobody made use of for a month, and parts whose makers are gone."""
    now = time.time()
    for path in folder.iterdir():
        with suppress(OSError):
            state = path.stat()
            used = max(state.st_atime, state.st_mtime)
            limit = {".part": _ABANDONED_S, ".index": _UNUSED_S}.get(path.suffix)
            if limit is not None and now - used > limit:
                path.unlink()


if __name__ == "__main__":
    os.nice(10)
    for name in sys.argv[1:]:
        with suppress(OSError, ValueError, EOFError, zlib.error):
            build(Path(name))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that all processes write their telemetry to: who may read it, what is in it, how large it may become.

Who writes a file holds a shared lock on it (flock), so a file that can be locked exclusively has no writer any more,
however its process ended. Files of all processes together keep to one bound: whoever writes looks now and then, and
removes the oldest files without a writer. Looking needs no agreement between them, since a file is removed only once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import gzip
import os
import re
import socket
import stat
import time
import weakref
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from otel_tts import settings

SIGNALS: Final = ("traces", "metrics", "logs")
PLAIN, PACKED, UNFINISHED = ".jsonl", ".jsonl.gz", ".jsonl.gz.part"
DEFAULT: Final = "otel-tts-telemetry"
"""Below the working directory, where the exporters are named and OTEL_TTS_FILE_DIR is not."""

_is_ours: Final = re.compile(
    rf"(?:{'|'.join(SIGNALS)})-[A-Za-z0-9_.-]+-\d+(?:\.\d+)?(?:-\d{{8}}T\d{{6}}\.\d+Z)?\.jsonl(?:\.gz(?:\.part)?)?"
).fullmatch
_BEGINNING: Final = b'{"resource'
_LARGEST_FILE: Final = 16 * 1024 * 1024
"""Bytes after which a file is closed and packed: a third of a second's work."""
_PARTS: Final = 16
"""A file has at most this part of the folder's bytes, so that there is something to remove."""
_LOOKS: Final = 256
"""How often a process looks at the folder while it writes as much as that may hold; and every `_EVERY_S`."""
_EVERY_S: Final = 60.0
_DAY_S: Final = 86_400.0
_SMALLEST: Final = 4096
"""Bytes that a file takes on a disk, however small it is."""
_MOST_FILES: Final = 10_000
"""A service that makes a process for each request would fill a folder with files of nothing."""


@dataclass(frozen=True)
class Found:
    """A file of the folder: `changed` in seconds since the epoch, `size` in bytes on the disk."""

    name: str
    changed: float
    size: int


class Folder:
    """One process's hold on the folder at `path`."""

    def __init__(self, path: Path, most_bytes: int, days: float) -> None:
        self.path, self.most_bytes, self.days = path, most_bytes, days
        self.largest_file = min(_LARGEST_FILE, most_bytes // _PARTS)
        self.oldest_s = min(days * _DAY_S, _DAY_S)
        """Seconds after which a file is closed though it is small: what is open is never removed."""
        self.note_removed: Callable[[str, int], None] = lambda reason, count: None
        """Is told why and how many files were removed."""
        self.own: weakref.WeakSet[Any] = weakref.WeakSet()
        """The files of this process (`otel_tts.export.own_file.OwnFile`)."""
        self._written = 0
        self._looked = 0.0

    def prepare(self) -> None:
        """Make the folder, for its owner only, where there is none.

        Raises OSError with a message for people where it cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            with self.opened():
                pass
        except OSError as error:
            raise OSError(error.errno, f"OTEL_TTS_FILE_DIR={self.path} {_explain(self.path, error)}") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise OSError(f"OTEL_TTS_FILE_DIR={self.path} cannot be written to; choose another directory")

    def try_to_write(self) -> None:
        """Write a file and remove it. Raises OSError where that fails."""
        self.prepare()
        name = f".otel-tts-{host()}-{os.getpid()}"
        with self.opened() as folder:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            try:
                if os.write(descriptor, bytes(_SMALLEST)) < _SMALLEST:
                    raise OSError(errno.ENOSPC, f"{self.path}: {os.strerror(errno.ENOSPC)}")
            finally:
                os.close(descriptor)
                os.unlink(name, dir_fd=folder)

    @contextlib.contextmanager
    def opened(self) -> Generator[int]:
        """Open the folder, never through a symbolic link, for calls that take a `dir_fd`. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def make_room(self, count: int) -> bool:
        """Look, where it is time, whether `count` more bytes fit, and remove what has to go. False if they do not."""
        self._written += count
        now = time.monotonic()
        if self._written * _LOOKS < self.most_bytes and now - self._looked < _EVERY_S:
            return True
        self._written, self._looked = 0, now
        for own in list(self.own):
            own.close_if_old()
        return self.tidy(count)

    def tidy(self, count: int = 0) -> bool:
        """Remove what is too old, then the oldest files until `count` more bytes fit. False where they still do not.

        Files that somebody writes to stay; so does everything where the folder cannot be read.
        """
        try:
            return self._tidy(count)
        except OSError:
            return True

    def _tidy(self, wanted: int) -> bool:
        with self.opened() as folder:
            files = sorted(_list(folder), key=lambda found: found.changed)
            size, count = wanted + sum(found.size for found in files), len(files)
            ends = time.time() - self.days * _DAY_S
            names = {found.name for found in files}
            for found in files:
                too_much = size > self.most_bytes or count > _MOST_FILES
                leftover = found.name.endswith(UNFINISHED) or found.name + ".gz" in names
                if not (too_much or found.changed < ends or leftover) or not is_abandoned(folder, found.name):
                    continue
                size, count = size - found.size, count - 1
                with contextlib.suppress(OSError):  # somebody else was faster, or it is another user's
                    os.unlink(found.name, dir_fd=folder)
                    if not leftover:
                        self.note_removed("files_expired" if found.changed < ends else "files_limit", 1)
        return size <= self.most_bytes


def from_settings() -> Folder:
    """Return this process's hold on OTEL_TTS_FILE_DIR, the same for all exporters."""
    current = settings.read()
    return _at(locate(current.file_dir), current.file_bytes, current.file_days)


def locate(folder: str) -> Path:
    """Return where telemetry goes for a value of OTEL_TTS_FILE_DIR: absolute, since a program may change its own."""
    return Path(os.path.abspath(Path(folder or DEFAULT).expanduser()))


@functools.lru_cache(maxsize=8)
def _at(path: Path, most_bytes: int, days: float) -> Folder:
    return Folder(path, most_bytes, days)


@functools.lru_cache(maxsize=1)
def host() -> str:
    """Return this machine's name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", socket.gethostname())[:64] or "host"


def lock(descriptor: int) -> None:
    """Mark an open file as written to. Where the file system has no locks nothing happens."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def is_abandoned(folder: int, name: str) -> bool:
    """Whether the file is one of ours that nobody writes to any more. False where that cannot be told."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name.endswith(UNFINISHED) or _is_telemetry(gzip.open(file) if name.endswith(PACKED) else file)
    except (OSError, EOFError, zlib.error):
        return False


def _is_telemetry(content: IO[bytes] | gzip.GzipFile) -> bool:
    """Whether it begins as a line of ours: somebody's logs of a day may have a name of our form."""
    return content.read(len(_BEGINNING)) in (b"", _BEGINNING)


def _list(folder: int) -> Iterator[Found]:
    for name in os.listdir(folder):
        if not _is_ours(name):
            continue
        with contextlib.suppress(OSError):
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(facts.st_mode):
                yield Found(name, facts.st_mtime, max(facts.st_size, _SMALLEST))


def _explain(path: Path, error: OSError) -> str:
    if path.is_symlink():
        return "is a symbolic link, which is not followed; name the directory itself"
    if path.exists() and not path.is_dir():
        return "is a file; name a directory"
    return f"cannot be used: {error.strerror}; choose another directory"

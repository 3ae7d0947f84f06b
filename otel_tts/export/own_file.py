# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The file that one process writes one signal to: a line is there as a whole or not at all.

It is made by its process and never one that was there before: neither an earlier process with the same number nor one
on another machine can have a part in it. A forked child makes its own.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import gzip
import os
import shutil
import threading
import time
from typing import Final

from otel_tts import forking
from otel_tts.export import shared_folder
from otel_tts.export.shared_folder import PACKED, PLAIN, UNFINISHED, Folder

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_ONLY_MINE: Final = 0o600
_MOST_NAMES: Final = 1000
_AT_SHUTDOWN_S: Final = 1.0
"""How long a shutdown waits for a write that hangs."""


class OwnFile:
    """`signal`'s file of this process in `folder`. Made with the first line: who has nothing to say leaves nothing."""

    def __init__(self, signal: str, folder: Folder) -> None:
        self.folder = folder
        self._signal = signal
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._name = ""
        self._size = 0
        self._born = 0.0
        folder.own.add(self)
        forking.register("export.fork", renew=self.renew)

    def write(self, line: bytes) -> None:
        """Append `line`, which ends in a line feed, and keep the folder to its bounds.

        Raises OSError where it was not written; then nothing of it is left.
        """
        if len(line) > self.largest_line:
            raise OSError(errno.EFBIG, "one export is larger than half of OTEL_TTS_FILE_BYTES")
        if not self.folder.make_room(len(line)):
            with self._lock:  # what others write to cannot be removed: then it is one's own that has to go
                self._close(pack=False)
            self.folder.tidy(len(line))
        with self._lock:
            if self._size and self._size + len(line) > self.folder.largest_file:
                self._close(pack=True)
            self._append(line)

    @property
    def largest_line(self) -> int:
        """Bytes that a line may have."""
        return self.folder.most_bytes // 2

    def close_if_old(self) -> None:
        """Close the file where its first line is so old that it has to become removable; without waiting."""
        if self._lock.acquire(blocking=False):
            try:
                if self._size and time.time() - self._born > self.folder.oldest_s:
                    self._close(pack=True)
            finally:
                self._lock.release()

    def close(self) -> None:
        """Let go of the file, which keeps its name; a later line makes another one."""
        if self._lock.acquire(timeout=_AT_SHUTDOWN_S):
            try:
                self._let_go()
            finally:
                self._lock.release()

    def renew(self) -> None:
        """In a forked child: leave the parent's file to the parent, and its lock, which some thread may have held."""
        self._lock = threading.Lock()
        self._let_go()

    # --- with the lock held ------------------------------------------------------------------------------------------

    def _append(self, line: bytes) -> None:
        if self._descriptor is None or not os.fstat(self._descriptor).st_nlink:  # new, or removed by somebody
            self._let_go()
            self._open()
        descriptor = self._descriptor
        assert descriptor is not None
        try:
            written = os.write(descriptor, line)
        except OSError as error:
            written, reason = 0, error.errno
        else:
            reason = errno.ENOSPC
        if written < len(line):
            self._take_back(descriptor, written)
            raise OSError(reason, os.strerror(reason or errno.EIO), str(self.folder.path))
        self._size += written

    def _take_back(self, descriptor: int, written: int) -> None:
        """Remove the part of a line that found room; where that fails, nothing comes after it in this file."""
        try:
            if written:
                os.ftruncate(descriptor, self._size)
        except OSError:
            self._let_go()

    def _open(self) -> None:
        stem = f"{self._signal}-{shared_folder.host()}-{os.getpid()}"
        self.folder.prepare()
        with self.folder.opened() as folder:
            for number in range(1, _MOST_NAMES):
                name = f"{stem}{f'.{number}' if number > 1 else ''}{PLAIN}"
                if number == 1 and shared_folder.is_abandoned(folder, name):  # of a process with this number before us
                    with contextlib.suppress(OSError):
                        os.rename(name, _closed(stem), src_dir_fd=folder, dst_dir_fd=folder)
                try:
                    self._descriptor = os.open(name, _NEW, _ONLY_MINE, dir_fd=folder)
                except FileExistsError:
                    continue
                shared_folder.lock(self._descriptor)
                self._name, self._size, self._born = name, 0, time.time()
                return
        raise OSError(errno.EEXIST, f"too many files named {stem}")

    def _close(self, pack: bool) -> None:
        """Close the file under another name, which is its last; `pack` it where there is room for that."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError), self.folder.opened() as folder:
            closed = _closed(self._name.removesuffix(PLAIN))
            if not os.path.samestat(os.fstat(self._descriptor), os.stat(self._name, dir_fd=folder)):
                raise FileNotFoundError(self._name)  # moved by somebody, and the name is another file's now
            os.rename(self._name, closed, src_dir_fd=folder, dst_dir_fd=folder)
            if pack:
                _pack(folder, closed)
        self._let_go()

    def _let_go(self) -> None:
        descriptor, self._descriptor, self._size = self._descriptor, None, 0
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _closed(stem: str) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{stem}-{now:%Y%m%dT%H%M%S.%f}Z{PLAIN}"


def _pack(folder: int, name: str) -> None:
    """Compress the file `name` under a name of its own and remove it. Raises OSError; then `name` is still there."""
    stem = name.removesuffix(PLAIN)
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(source, "rb") as plain:
        part = os.open(stem + UNFINISHED, _NEW, _ONLY_MINE, dir_fd=folder)
        try:
            with os.fdopen(part, "wb") as packed:
                shared_folder.lock(part)
                with gzip.GzipFile(filename="", fileobj=packed, mode="wb") as stream:
                    shutil.copyfileobj(plain, stream, 1024 * 1024)
                facts = os.fstat(source)
                packed.flush()
                os.utime(part, ns=(facts.st_atime_ns, facts.st_mtime_ns))
                os.rename(stem + UNFINISHED, stem + PACKED, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(stem + UNFINISHED, dir_fd=folder)
            raise
    os.unlink(name, dir_fd=folder)

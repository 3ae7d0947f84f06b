# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers on the control socket: one line in, one line of JSON out, to this user and to root only.

On threads of its own, a few at a time; what an answer takes is bounded. A forked child has a socket of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from otel_tts import forking
from otel_tts.control import folder as folders
from otel_tts.guard import contain

Verb = Callable[[str], Mapping[str, Any]]
"""Takes what stands after the verb, which may be empty."""

_LONGEST_LINE: Final = 256
_PATIENCE_S: Final = 2.0
_AT_ONCE: Final = 4
_CREDENTIALS: Final = struct.Struct("3i")


class Server:
    """Serves `verbs` from a socket in `folder` until `close`. Raises `folders.Refused` or OSError."""

    def __init__(self, folder: Path, verbs: Mapping[str, Verb]) -> None:
        if not hasattr(socket, "SO_PEERCRED"):
            raise folders.Refused("this system does not say who asks at a socket; it takes Linux")
        self._folder, self._verbs = folder, verbs
        self._open()
        forking.register("control", renew=self._renew)
        atexit.register(self.close)

    def _open(self) -> None:
        folders.remove_stale(self._folder)
        self._process, self._free = os.getpid(), threading.BoundedSemaphore(_AT_ONCE)
        self._listener, self.path = folders.listen(self._folder)
        threading.Thread(target=self._serve, args=(self._listener,), name="otel-tts-control", daemon=True).start()

    def close(self) -> None:
        """Answer no more, and take the socket away. In a child that is none of its own: nothing."""
        atexit.unregister(self.close)
        if self._process != os.getpid() or self._listener.fileno() < 0:
            return
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._listener.close()

    def _renew(self) -> None:
        """In a forked child, whose parent goes on to listen at its own socket."""
        if self._listener.fileno() < 0:
            return
        self._listener.close()
        self._open()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                asking, _ = listener.accept()
            except OSError:
                if listener.fileno() < 0 or not self._waits(listener):
                    return
                continue
            if not self._free.acquire(blocking=False):
                asking.close()
                continue
            try:
                threading.Thread(target=self._answer, args=(asking,), name="otel-tts-control-1", daemon=True).start()
            except RuntimeError:  # no more threads can be had
                self._free.release()
                asking.close()

    def _waits(self, listener: socket.socket) -> bool:
        """After a failed accept: no more descriptors is a trouble that passes, a closed socket is the end."""
        time.sleep(0.1)
        try:
            return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        except OSError:
            return False

    def _answer(self, asking: socket.socket) -> None:
        try:
            with asking:
                contain("control", self._talk, asking)
        finally:
            self._free.release()

    def _talk(self, asking: socket.socket) -> None:
        if not _may_ask(asking):
            return
        line = _read_line(asking)
        if line is None:
            return
        word, _, rest = line.partition(" ")
        verb = self._verbs.get(word)
        said = (
            verb(rest.strip()) if verb is not None else {"error": f"no such verb; there are {', '.join(self._verbs)}"}
        )
        with suppress(OSError):  # who asked has gone
            asking.settimeout(_PATIENCE_S)
            asking.sendall(json.dumps(said, allow_nan=False).encode() + b"\n")


def _may_ask(asking: socket.socket) -> bool:
    """The folder keeps others out already; this holds where somebody has opened it since."""
    said = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(said)
    return user in (0, os.geteuid())


def _read_line(asking: socket.socket) -> str | None:
    """Return one line; None where none comes in time, or it is too long or no text."""
    until, line = time.monotonic() + _PATIENCE_S, b""
    try:
        while b"\n" not in line:
            asking.settimeout(max(0.01, until - time.monotonic()))
            piece = asking.recv(_LONGEST_LINE)
            line += piece
            if not piece or len(line) > _LONGEST_LINE or time.monotonic() > until:
                return None
        return line.partition(b"\n")[0].decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of control sockets, a socket for each process, and the token that marks a watcher's probes."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from otel_tts.own_files import not_own_folder

TOKEN: Final = "token"
_TOKEN_BYTES: Final = 32
_LONGEST_PATH: Final = 107
"""Bytes of a Unix socket's path."""
_BACKLOG: Final = 8


class Refused(Exception):
    """There can be no control socket; the message says why and what to do."""


def prepare(path: Path) -> Path:
    """Make the folder where it is not there, and make sure that it is this user's own. Raises Refused."""
    folder = path.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder} cannot be made: {error.strerror}") from None
    if (reason := not_own_folder(folder)) is not None:
        raise Refused(reason)
    return folder


def read_token(folder: Path) -> bytes:
    """Return the token of this folder, made by whoever asks first. Raises OSError."""
    path = folder / TOKEN
    if not path.exists():
        _make_token(path)
    return path.read_bytes()


def _make_token(path: Path) -> None:
    """Workers may do this at once: each writes one of its own, and the first one's is everybody's."""
    made = path.with_name(f".{TOKEN}.{secrets.token_hex(8)}")
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_hex(_TOKEN_BYTES).encode())
    with suppress(FileExistsError):
        os.link(made, path)
    made.unlink()


def listen(folder: Path) -> tuple[socket.socket, Path]:
    """Return a socket that listens, and its path; nobody sees it before it does. Raises Refused, OSError."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.sock"
    hidden = path.with_suffix(".new")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise Refused(f"{folder} is too long a path for a socket; it takes at most {_LONGEST_PATH - 24} bytes")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(hidden))
        os.chmod(hidden, 0o600)
        listener.listen(_BACKLOG)
        hidden.rename(path)
    except OSError:
        listener.close()
        raise
    return listener, path


def remove_stale(folder: Path) -> None:
    """Remove the sockets of processes that are gone: SIGKILL leaves them behind."""
    for path in folder.glob("*.sock"):
        if is_refused(path):
            with suppress(OSError):
                path.unlink()


def is_refused(path: Path) -> bool:
    """Whether nobody listens at that socket any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # a queue that is full, for one: somebody is there
            return False
    return False

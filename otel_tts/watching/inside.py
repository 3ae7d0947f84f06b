# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the service's processes say at their control sockets, put together."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from otel_tts.own_files import not_own_folder

_LONGEST_ANSWER: Final = 65_536
_AT_ONCE: Final = 8
GONE: Final = "gone"
MUTE: Final = "mute"


@dataclass(frozen=True)
class Reply:
    """One process's answer. `state` ``gone``: nobody listens any more; ``mute``: it took the question, no more.

    `name` is its socket's, which no other process ever has.
    """

    pid: int
    state: str = ""
    said: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str = ""


class Sockets:
    """The control sockets in one folder."""

    def __init__(self, folder: Path, timeout_s: float = 5.0) -> None:
        self._folder, self._timeout_s = folder, timeout_s

    def why_not(self) -> str | None:
        """Return why nothing in the folder is believed; None where it is this user's own. To root all are."""
        if os.geteuid() == 0:
            return None if self._folder.is_dir() else f"{self._folder} is not there"
        return not_own_folder(self._folder)

    def token(self) -> bytes | None:
        """Return the token that marks probes; None where there is none to read."""
        with suppress(OSError):
            if self.why_not() is None:
                return (self._folder / "token").read_bytes()
        return None

    def ask(self, verb: str, timeout_s: float | None = None) -> list[Reply]:
        """Ask every process; none where nothing is believed."""
        if self.why_not() is not None:
            return []
        paths = sorted(self._folder.glob("*.sock"))
        with ThreadPoolExecutor(_AT_ONCE) as threads:  # who is mute holds up nobody
            return list(threads.map(partial(_ask, verb=verb, timeout_s=timeout_s or self._timeout_s), paths))


def _ask(path: Path, verb: str, timeout_s: float) -> Reply:
    pid = int(head) if (head := path.name.partition("-")[0]).isdecimal() else 0
    until = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(timeout_s)
        try:
            asking.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return Reply(pid, GONE)
        except OSError:
            return Reply(pid, MUTE)
        try:
            asking.sendall(f"{verb}\n".encode())
            said = _read(asking, until)
            return Reply(pid, said=json.loads(said), name=path.stem)
        except (ValueError, OSError, RecursionError):
            return Reply(pid, MUTE)


def _read(asking: socket.socket, until: float) -> bytes:
    said = b""
    while len(said) <= _LONGEST_ANSWER:
        asking.settimeout(max(0.01, until - time.monotonic()))
        piece = asking.recv(_LONGEST_ANSWER)
        if not piece:
            return said
        said += piece
    raise ValueError


@dataclass(frozen=True)
class Inside:
    """The processes' health as one. `still`: of each open stage the seconds since it moved; `stage` is the stillest.

    `quiet_s`: the most seconds that any of them has gone without a stage that ended or a chunk that left; `moved_s`:
    seconds since one was seen to move; `loop_lag_s`: how late an event loop was at most in the last minute. `heard`:
    requests that have ended with audio.
    """

    alive: int = 0
    names: frozenset[str] = frozenset()
    gone: int = 0
    mute: tuple[int, ...] = ()
    stage: str = ""
    still: tuple[float, ...] = ()
    quiet_s: float = 0.0
    moved_s: float | None = None
    loop_lag_s: float = 0.0
    heard: int = 0
    fallbacks: int = 0
    memory: float | None = None
    gpus: dict[str, float] = field(default_factory=dict[str, float])
    """Of each device the share of its memory that is in use."""

    @property
    def still_s(self) -> float:
        """Seconds since the stillest open stage moved, 0 where none is open."""
        return max(self.still, default=0.0)


def put_together(replies: Iterable[Reply]) -> Inside:
    """Return what the processes say; one whose answer has another form counts as mute."""
    replies = list(replies)
    parts = [(reply, _part(reply.said)) for reply in replies if not reply.state]
    alive = [part for _, part in parts if part is not None]
    if not alive:
        whole = Inside()
    else:
        stillest = max(alive, key=lambda part: part.still_s)
        whole = Inside(
            stage=stillest.stage,
            still=tuple(still for part in alive for still in part.still),
            quiet_s=max(part.quiet_s for part in alive),
            moved_s=min((part.moved_s for part in alive if part.moved_s is not None), default=None),
            loop_lag_s=max(part.loop_lag_s for part in alive),
            heard=sum(part.heard for part in alive),
            fallbacks=max(part.fallbacks for part in alive),
            memory=sum(part.memory or 0.0 for part in alive) or None,
            gpus={gpu: share for part in alive for gpu, share in part.gpus.items()},
        )
    mute = [reply.pid for reply in replies if reply.state == MUTE]
    mute += [reply.pid for reply, part in parts if part is None]
    names = frozenset(reply.name for reply, part in parts if part is not None)
    return replace(
        whole, alive=len(alive), names=names, gone=sum(reply.state == GONE for reply in replies), mute=tuple(mute)
    )


def _part(said: Any) -> Inside | None:
    """Return what one process says; None for what has another form."""
    try:
        stillest = max(said["stages"], key=lambda stage: stage["still_s"], default={"stage": "", "still_s": 0.0})
        return Inside(
            stage=str(stillest["stage"]),
            still=tuple(map(float, said["still_s"])),
            quiet_s=float(said["quiet_s"]),
            moved_s=None if said["moved_s"] is None else float(said["moved_s"]),
            loop_lag_s=float(said["loop_lag_s"] or 0.0),
            heard=int(said["heard"]),
            fallbacks=int(said["fallbacks"]),
            memory=None if said["memory"] is None else float(said["memory"]),
            gpus={str(gpu["id"]): gpu["used"] / gpu["total"] for gpu in said["gpus"] if gpu["used"] is not None},
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError):
        return None

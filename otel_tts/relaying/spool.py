# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages on disk, from the moment that Alertmanager is told that its group was taken until each place has it.

One file a message, for its owner only, always whole: written beside and moved. The names sort by time.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from otel_tts import alone, durable
from otel_tts.relaying.alerts import Alert, Group
from otel_tts.trouble import WrongUse

MOST: Final = 1000
"""Messages that may wait; more are refused, and Alertmanager tries again."""

SAME_S: Final = 240.0
"""Seconds for which the same group again is a repetition: Alertmanager repeats it where it did not hear our answer."""

_ASIDE: Final = "aside"
_LOST: Final = ".unreadable"


class Full(Exception):
    """No message can be taken now: too many wait, or the disk does not take it."""


@dataclass(frozen=True)
class Message:
    """One message: its `group`, the `text` once it is written, and how many pieces of it each place has (`sent`).

    `done` names the places that have all of it, or will not get it. `received` is in Unix nanoseconds.
    """

    id: str
    received: int
    group: Group
    title: str = ""
    text: str | None = None
    sent: Mapping[str, int] = field(default_factory=dict[str, int])
    done: tuple[str, ...] = ()


class Spool:
    """The messages of one folder, for one process at a time.

    Raises Trouble where another process has it, WrongUse where it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._lately: dict[str, float] = {}
        try:
            (folder / _ASIDE).mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._held = alone.hold(folder / ".lock", "relay")
        except OSError as error:
            raise WrongUse(f"{folder} cannot be used as a folder for messages: {error.strerror}.") from None
        self.unreadable = 0
        self._messages = {one.id: one for path in sorted(folder.glob("*.json")) if (one := self._read(path))}

    def close(self) -> None:
        """Leave the folder to another process."""
        os.close(self._held)

    def take(self, group: Group) -> bool:
        """Keep a group; False where it was taken just before. Raises Full."""
        key = hashlib.sha256(json.dumps(asdict(group), sort_keys=True).encode()).hexdigest()
        with self._lock:
            now = time.monotonic()
            self._lately = {one: at for one, at in self._lately.items() if now - at < SAME_S}
            if key in self._lately:
                return False
            if len(self._messages) >= MOST:
                raise Full("too many messages wait")
            received = time.time_ns()
            message = Message(self._name(received, key), received, group)
            try:
                self._write(message)
            except OSError as error:
                raise Full(f"nothing can be written: {error.strerror}") from None
            self._messages[message.id] = message
            self._lately[key] = now
            return True

    def waiting(self) -> list[Message]:
        """The messages that some place does not have, the oldest first."""
        with self._lock:
            return sorted(self._messages.values(), key=lambda one: one.id)

    def get(self, id: str) -> Message:
        """The message as it is now. Raises KeyError when it is gone."""
        with self._lock:
            return self._messages[id]

    def write(self, id: str, title: str, text: str) -> Message:
        """Note what the message says. A full disk only means that it is written anew after a restart."""
        return self._change(id, lambda message: replace(message, title=title, text=text))

    def note_sent(self, id: str, place: str, pieces: int) -> Message:
        """Note that `place` has so many pieces."""
        return self._change(id, lambda message: replace(message, sent={**message.sent, place: pieces}))

    def finish(self, id: str, place: str, places: frozenset[str], aside: bool = False) -> None:
        """Note that `place` has all, or with `aside` will not get it; the file goes once that is so for all places."""
        if aside:
            with suppress(OSError):
                self._store(self._folder / _ASIDE / f"{id}.{place}.json", self.get(id))
        self._change(id, lambda message: replace(message, done=(*message.done, place)))
        self.drop_finished(places)

    def drop_finished(self, places: frozenset[str]) -> None:
        """Let go of what all `places` have: there may be others than when it was taken."""
        with self._lock:
            for id in [one.id for one in self._messages.values() if places <= set(one.done)]:
                del self._messages[id]
                with suppress(OSError):
                    self._path(id).unlink(missing_ok=True)

    def _change(self, id: str, change: Callable[[Message], Message]) -> Message:
        with self._lock:
            message = self._messages[id] = change(self._messages[id])
            with suppress(OSError):  # what is on disk says less, so after a restart more is sent, not less
                self._write(message)
            return message

    def _name(self, received: int, key: str) -> str:
        """After all others, even where the clock was set back meanwhile."""
        last = max((int(one.split("-")[0]) for one in self._messages), default=0)
        return f"{max(received, last + 1):019d}-{key[:8]}"

    def _path(self, id: str) -> Path:
        return self._folder / f"{id}.json"

    def _write(self, message: Message) -> None:
        self._store(self._path(message.id), message)

    def _store(self, path: Path, message: Message) -> None:
        durable.write(path, json.dumps(asdict(message)))

    def _read(self, path: Path) -> Message | None:
        try:
            held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            group: dict[str, Any] = held.pop("group")
            alerts = tuple(Alert(**one) for one in group.pop("alerts"))
            whole: dict[str, Any] = {**held, "group": Group(alerts=alerts, **group), "done": tuple(held["done"])}
            message = Message(**whole)
            int(message.id.split("-")[0])
            if message.id != path.stem:
                raise ValueError
            return message
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.unreadable += 1
            with suppress(OSError):
                path.rename(path.with_suffix(_LOST))
            return None

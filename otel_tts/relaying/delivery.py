# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A thread for each place takes it the messages, in their order, until it has them all.

A place that does not answer, or refuses, is asked again later and later; what waits for it stays on disk. Only what is
refused for itself, or has waited for days, is put aside.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otel_tts import names
from otel_tts.relaying.counts import Counts
from otel_tts.relaying.pieces import split
from otel_tts.relaying.place import Place, Refused, Unreached
from otel_tts.relaying.spool import Message, Spool

A_MINUTE: Final = 20
"""Pieces that a place is sent in a minute: a robot of WeChat Work takes no more."""

KEEP_NS: Final = 3 * 86400 * 10**9
"""Time after which an alert is news to nobody, and is put aside."""


@dataclass(frozen=True)
class Pace:
    """How often is tried: after a failure `first_s` seconds, twice as long each time, `longest_s` at most."""

    first_s: float = 1.0
    longest_s: float = 60.0
    minute_s: float = 60.0


class Courier:
    """Brings messages to one place. `write` gives a message its text, which takes a while; `say` tells the operator."""

    def __init__(
        self, place: Place, places: frozenset[str], spool: Spool, counts: Counts, write: Callable[[Message], Message],
        say: Callable[[str], None], pace: Pace,
    ) -> None:  # fmt: skip
        self._place, self._places, self._spool, self._counts = place, places, spool, counts
        self._write, self._say, self._pace = write, say, pace
        self._news, self._ended = threading.Event(), threading.Event()
        self._lately: deque[float] = deque()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"otel-tts-relay-{place.name}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new message."""
        self._news.set()

    def end(self, seconds: float) -> None:
        """Stop after what is being sent, for which it waits at most so long; the rest stays on disk."""
        self._ended.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def waiting(self) -> list[Message]:
        """What this place does not have, the oldest first."""
        return [one for one in self._spool.waiting() if self._place.name not in one.done]

    def _run(self) -> None:
        while not self._ended.is_set():
            self._news.clear()
            if not (messages := self.waiting()):
                self._news.wait()
            elif self._bring(messages[0]):
                self._failures = 0
            else:
                self._ended.wait(min(self._pace.first_s * 2**self._failures, self._pace.longest_s))
                self._failures = min(self._failures + 1, 30)

    def _bring(self, message: Message) -> bool:
        """Send what is missing of a message; False where it has to be tried again later."""
        name, sender = self._place.name, self._place.sender
        if time.time_ns() - message.received > KEEP_NS:
            self._put_aside(message, "age")
            return True
        if message.text is None:
            message = self._write(message)
        pieces = split(message.text or "", sender.most)
        for number in range(message.sent.get(name, 0), len(pieces)):
            self._await_turn()
            if self._ended.is_set():
                return True
            try:
                sender.send(message.title, pieces[number])
            except (Refused, Unreached) as error:
                return self._failed(message, error)
            self._spool.note_sent(message.id, name, number + 1)
        self._counts.add(names.RELAY_SENT, name)
        self._spool.finish(message.id, name, self._places)
        if self._failures:
            self._say(f"{name} takes messages again")
        return True

    def _failed(self, message: Message, error: Refused | Unreached) -> bool:
        reason = str(error).replace(" ", "_")
        self._counts.add(names.RELAY_FAILED, self._place.name, reason)
        if isinstance(error, Refused) and error.for_good:
            self._put_aside(message, reason)
            return True
        if not self._failures:
            self._say(f"{self._place.name} does not take messages ({error}); they are kept and tried again")
        return False

    def _put_aside(self, message: Message, reason: str) -> None:
        self._counts.add(names.RELAY_ASIDE, self._place.name, reason)
        self._say(
            f"message {message.id} for {self._place.name} is put aside ({reason}); it is kept in the folder aside"
        )
        self._spool.finish(message.id, self._place.name, self._places, aside=True)

    def _await_turn(self) -> None:
        """Wait until one more piece is within what a minute allows."""
        minute = self._pace.minute_s
        while self._lately and self._lately[0] <= time.monotonic() - minute:
            self._lately.popleft()
        if len(self._lately) >= A_MINUTE:
            self._ended.wait(max(0.0, self._lately.popleft() + minute - time.monotonic()))
        self._lately.append(time.monotonic())

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Batches that a receiver wants later than a batch's own time allows: kept in memory, oldest first, within a bound.

A thread sends them when the receiver said so; it is started with the first batch that waits and ends with the last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otel_tts.export.post import Outcome
from otel_tts.guard import contain

_logger = logging.getLogger("otel_tts")

_SOONEST_S: Final = 1.0
_OWN_PAUSE_S: Final = 30.0
_SAY_AGAIN_S: Final = 60.0


@dataclass(frozen=True)
class Batch:
    """A request's body as it is sent, and how many items are in it."""

    body: bytes
    items: int


class Waiting:
    """The batches of one exporter. `send` posts one; `lose` hears of those that are given up, and why."""

    def __init__(
        self, what: str, place: str, most_bytes: int, send: Callable[[Batch], Outcome], lose: Callable[[int, str], None]
    ) -> None:
        self._what, self._place, self._most_bytes = what, place, most_bytes
        self._send, self._lose = send, lose
        self._changed = threading.Condition()
        self._batches: deque[Batch] = deque()
        self.items = 0
        """How many spans, log records or metrics wait, the batch that is being sent included."""
        self._bytes = 0
        self._sending: Batch | None = None
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self._said, self._dropped = float("-inf"), 0
        self._over = False

    def add(self, batch: Batch, seconds: float | None = None) -> None:
        """Keep a batch, for at least `seconds` (None: behind those that wait already). The oldest make room for it."""
        with self._changed:
            if self._over:  # it was being sent when the end came
                self._lose(batch.items, "export_failed")
                return
            if seconds is not None:
                self._due = time.monotonic() + max(seconds, _SOONEST_S)
            self._batches.append(batch)
            self._count(batch, 1)
            dropped = 0
            while self._bytes > self._most_bytes and self._batches:
                oldest = self._batches.popleft()
                self._count(oldest, -1)
                dropped += oldest.items
            if self._batches and self._thread is None:
                self._start()
            self._changed.notify_all()
        if dropped:
            self._lose(dropped, "waiting_full")
            self._say(dropped)

    def settle(self, seconds: float) -> bool:
        """Wait for what is due within `seconds` to be sent. True when nothing waits any more."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._thread is not None and (self._batches or self._sending is not None):
                left = deadline - time.monotonic()
                if left <= 0 or (self._sending is None and self._due > deadline):
                    break
                self._changed.wait(left)
        if self._thread is None:
            self._send_due(deadline)
        return not self.items

    def end(self, seconds: float) -> None:
        """Settle, and give up what is left."""
        self.settle(seconds)
        with self._changed:
            self._over, lost = True, self.items
            self._batches.clear()
            self.items = self._bytes = 0
            self._changed.notify_all()
        if lost:
            self._lose(lost, "export_failed")

    def _count(self, batch: Batch, sign: int) -> None:
        self.items += sign * batch.items
        self._bytes += sign * len(batch.body)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._send_due, name=f"otel-tts-{self._what}-waiting", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # Python 3.12 starts none while it shuts down; `end` sends what is due by then
            self._thread = None

    def _send_due(self, deadline: float | None = None) -> None:
        """Send the batches, each when it is due, until none waits or until the next is due after `deadline`."""
        while (batch := self._take(deadline)) is not None:
            outcome = contain("export.waiting", self._send, batch)
            if lost := self._put_away(batch, outcome):
                contain("export.waiting", self._lose, lost, "export_failed")

    def _take(self, deadline: float | None) -> Batch | None:
        with self._changed:
            while self._batches and not self._over:
                pause = self._due - time.monotonic()
                if pause <= 0:
                    self._sending = self._batches.popleft()
                    return self._sending
                if deadline is not None and self._due > deadline:
                    return None
                self._changed.wait(pause)
            if deadline is None:
                self._thread = None
            return None

    def _put_away(self, batch: Batch, outcome: Outcome | None) -> int:
        """Keep a batch that the receiver wants later still; return how many items are lost."""
        with self._changed:
            self._sending = None
            self._changed.notify_all()
            if self._over:  # it has been given up with the others
                return 0
            if outcome is not None and not outcome.delivered and outcome.tries > 1:
                pause = _OWN_PAUSE_S if outcome.again is None else max(outcome.again, _SOONEST_S)
                self._due = time.monotonic() + pause
                self._batches.appendleft(batch)
                return 0
            self._count(batch, -1)
            return 0 if outcome is not None and outcome.delivered else batch.items

    def _say(self, dropped: int) -> None:
        self._dropped += dropped
        if time.monotonic() - self._said >= _SAY_AGAIN_S:
            _logger.warning(
                "otel-tts: %d %s waiting for %s were dropped, the oldest: no more than OTEL_TTS_EXPORT_BYTES=%d wait",
                self._dropped, self._what, self._place, self._most_bytes,
            )  # fmt: skip
            self._said, self._dropped = time.monotonic(), 0

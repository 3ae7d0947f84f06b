# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Finished records that cannot leave yet: a device is at work on their stages, their files are being read, or the
answer that they were made for has not been sent.

A record that waits holds up no other. What is not known after `PATIENCE_S` is left out, and that is said.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from otel_tts.emit.later.form import Later
from otel_tts.record import LateSpan
from otel_tts.recording.recorder import Recorder

PATIENCE_S: Final = 30.0
"""Seconds that a finished request waits at most."""
ANSWER_PATIENCE_S: Final = 2.0
"""Seconds that a finished request waits for its answer to be sent: only then is it known which id the client holds,
whether somebody was still there to take it, and what the audio is that left."""
_REFUSALS: Final = 64
"""Records that a look asks for in vain at most: each may cost a question to a driver."""
_REST_S: Final = 0.002
"""Seconds between two looks of who waits for them."""


class Waiting:
    """What waits, at most as much as the queue may hold. Safe from any thread."""

    def __init__(self, recorder: Recorder, later: Sequence[Later], release: Callable[[LateSpan], object]) -> None:
        """Wait for what is known `later`; what need not wait any longer goes to `release`."""
        self._most, self._later, self._release = recorder.settings.queue_size, later, release
        self._records: collections.deque[LateSpan] = collections.deque()
        self.append, self.clear = self._records.append, self._records.clear

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[LateSpan]:
        return iter(self._records.copy())

    def start(self, record: LateSpan) -> None:
        """On the request's path at its end: let each find out what it can."""
        for later in self._later:
            later.start(record)

    def admit(self, record: LateSpan) -> bool:
        """Keep `record` while something of it is not known; False where it may leave at once."""
        if self.is_complete(record, give_up=len(self._records) >= self._most):
            return False
        self._records.append(record)
        return True

    def is_complete(self, record: LateSpan, give_up: bool = False) -> bool:
        """Whether all that is to be known of the record is there, or is not waited for any longer."""
        answered = give_up or _is_answered(record)
        return all(later.is_ready(record, give_up) for later in self._later) and answered

    def look(self, give_up: bool = False) -> None:
        """Let go on what a device has passed by now, and what has waited for it too long."""
        limit = time.perf_counter_ns() - int(PATIENCE_S * 1e9)
        refused = 0
        for _ in range(len(self._records)):
            try:
                record = self._records.popleft()
            except IndexError:  # somebody else looks too
                return
            if self.is_complete(record, give_up or (record.t1 or 0) < limit):
                self._release(record)
                continue
            self._records.append(record)
            refused += 1
            if refused == _REFUSALS:
                return

    def wait(self, timeout: float) -> None:
        """Give what is at work on the last requests `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for record in self:  # whoever waits here may be the one who is to answer
            if (web := getattr(record, "request", None)) is not None:
                web.answers = False
        self.look()
        while self._records and time.monotonic() < deadline:
            time.sleep(_REST_S)
            self.look()


def _is_answered(record: Any) -> bool:
    web = getattr(record, "request", None)
    if web is None or not web.is_answering:
        return True
    return time.perf_counter_ns() - record.t1 > ANSWER_PATIENCE_S * 1e9

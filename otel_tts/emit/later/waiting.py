# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Finished records that cannot leave yet: a device is at work on their stages, their files are being read, or the
answer that they were made for has not been sent.

Nobody waits inside the device's driver: it is asked again at each look, and a record that it holds up, holds up no
other. What a device has not passed after `DEVICE_PATIENCE_S` keeps the host's times and says so.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from otel_tts.emit.later.files import FileReader
from otel_tts.guard import contain
from otel_tts.record import LateSpan, StageRecord
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stage import StageOwner

DEVICE_PATIENCE_S: Final = 30.0
"""Seconds that a finished request waits for its device; then its stages keep the host's times and say so."""
DEVICE_AT_EXIT_S: Final = 1.0
"""The same when the process ends or somebody flushes."""
ANSWER_PATIENCE_S: Final = 2.0
"""Seconds that a finished request waits for its answer to be sent: only then is it known which id the client holds,
whether somebody was still there to take it, and what the audio is that left."""
_REFUSALS: Final = 64
"""Requests that a look at the device asks for in vain at most."""
_REST_S: Final = 0.002
"""Seconds between two looks of who waits for them."""


class Waiting:
    """What waits, at most as much as the queue may hold. Safe from any thread."""

    def __init__(self, recorder: Recorder, files: FileReader, release: Callable[[LateSpan], object]) -> None:
        """Look at the recorder's clock and at `files`; what need not wait any longer goes to `release`."""
        self._recorder, self._files, self._release = recorder, files, release
        self._records: collections.deque[LateSpan] = collections.deque()
        self.append, self.clear = self._records.append, self._records.clear

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[LateSpan]:
        return iter(self._records.copy())

    def ask(self, record: LateSpan) -> None:
        """On the request's path at its end: note what the device has passed already."""
        clock = self._recorder.clock
        if clock is not None:
            contain("clock", lambda: clock.passed(_stages_of(record)))

    def admit(self, record: LateSpan) -> bool:
        """Keep `record` while something of it is not known; False where it may leave at once."""
        if self.is_complete(record, give_up=len(self._records) >= self._recorder.settings.queue_size):
            return False
        self._records.append(record)
        return True

    def has_times(self, record: LateSpan, give_up: bool = False) -> bool:
        """Whether the record's stages have their times; not while a device is still at work on one of them."""
        clock = self._recorder.clock
        return clock is None or contain("clock", clock.resolve, _stages_of(record), give_up) is not False

    def is_complete(self, record: LateSpan, give_up: bool = False) -> bool:
        """Whether all that is to be known of the record is there: its stages' times, and its files' facts."""
        if not self.has_times(record, give_up) or not (give_up or _is_answered(record)):
            return False
        synthesis = with_files(record)
        return give_up or synthesis is None or contain("files", self._files.is_ready, synthesis) is not False

    def look(self, give_up: bool = False) -> None:
        """Let go on what a device has passed by now, and what has waited for it too long."""
        limit = time.perf_counter_ns() - int(DEVICE_PATIENCE_S * 1e9)
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
            if refused == _REFUSALS:  # each has cost a question to the driver
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


def with_files(record: Any) -> Any:
    """Return the record where it is a synthesis with delivered files, else None."""
    return record if getattr(record, "files", None) is not None else None


def _is_answered(record: Any) -> bool:
    web = getattr(record, "request", None)
    if web is None or not web.is_answering:
        return True
    return time.perf_counter_ns() - record.t1 > ANSWER_PATIENCE_S * 1e9


def _stages_of(record: LateSpan) -> list[StageRecord]:
    """Return the finished stages of a synthesis, or the stage itself that outlived its own."""
    if isinstance(record, StageOwner):
        return record.stages.finished
    return [record] if isinstance(record, StageRecord) else []

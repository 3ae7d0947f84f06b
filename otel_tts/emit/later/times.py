# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The device's times of a record's stages, which the device gives when it has passed them.

Nobody waits inside the device's driver: it is asked again at each look. Stages whose device does not answer in time
keep the host's times and say so.
"""

from __future__ import annotations

from otel_tts.guard import contain
from otel_tts.record import LateSpan, StageRecord
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stage import StageOwner


class DeviceTimes:
    """Asks the recorder's clock."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start(self, record: LateSpan) -> None:
        """Note what the device has passed already."""
        clock = self._recorder.clock
        if clock is not None:
            contain("clock", lambda: clock.passed(_stages_of(record)))

    def is_ready(self, record: LateSpan, give_up: bool = False) -> bool:
        """Whether the record's stages have their times; not while a device is still at work on one of them."""
        clock = self._recorder.clock
        return clock is None or contain("clock", clock.resolve, _stages_of(record), give_up) is not False


def _stages_of(record: LateSpan) -> list[StageRecord]:
    """Return the finished stages of a synthesis, or the stage itself that outlived its own."""
    if isinstance(record, StageOwner):
        return record.stages.finished
    return [record] if isinstance(record, StageRecord) else []

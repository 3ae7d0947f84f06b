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


class DeviceTimes:
    """Asks the recorder's clock."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start(self, record: LateSpan) -> None:
        """Note what the device has passed already."""
        clock = self._recorder.clock
        if clock is not None and (timed := _timed(record)):
            contain("clock", clock.passed, timed)

    def is_ready(self, record: LateSpan, give_up: bool = False) -> bool:
        """Whether the record's stages have their times; not while a device is still at work on one of them."""
        clock = self._recorder.clock
        if clock is None or not (timed := _timed(record)):
            return True
        return contain("clock", clock.resolve, timed, give_up) is not False


def _timed(record: LateSpan) -> list[StageRecord]:
    """Return the stages that a clock has noted something of."""
    return [stage for stage in record.own_stages() if stage.timing is not None]

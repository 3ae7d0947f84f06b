# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Says, seldom, that requests ended faster than they can be turned into telemetry, so that some were dropped."""

from __future__ import annotations

import logging
import time
from typing import Final

from otel_tts.recording.recorder import Recorder

_logger = logging.getLogger("otel_tts")

_AGAIN_S: Final = 60.0


class Overflow:
    """What a full queue of one process has dropped, and what was said of it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.renew()

    def renew(self) -> None:
        """Begin anew, also in a forked child, which has lost nothing yet."""
        self._said, self._again = 0, 0.0

    def say(self, last: bool = False) -> None:
        """Say how many were dropped so far, if more than was said: at once, then once a minute and at the `last`."""
        dropped = self._recorder.dropped["queue_full"]
        if dropped <= self._said or not (last or time.monotonic() >= self._again):
            return
        self._said, self._again = dropped, time.monotonic() + _AGAIN_S
        _logger.warning(
            "otel-tts: %d finished requests and stages dropped so far: OTEL_TTS_QUEUE_SIZE=%d waited already. A longer "
            "queue outlasts a burst; a rate that lasts wants more processes.",
            dropped, self._recorder.settings.queue_size,
        )  # fmt: skip

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where sound begins and ends, from a row of windows that are loud or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class SilenceTracker:
    """Follows windows in order; all lengths are in frames.

    Sound begins with the first run of loud windows that lasts `sustained` frames and ends with the last such run.
    Shorter bursts count as loud windows but not as sound: a click in a pause does not end the pause.
    """

    sustained: int
    frames: int = 0
    silent_frames: int = 0
    sound_start: int | None = None
    sound_end: int = 0
    run: int = 0

    def follow(self, loud: Iterable[bool], length: int) -> None:
        """Adds windows of `length` frames each."""
        frames, run = self.frames, self.run
        for is_loud in loud:
            frames += length
            if not is_loud:
                run = 0
                self.silent_frames += length
                continue
            run += length
            if run >= self.sustained:
                self.sound_end = frames
                if self.sound_start is None:
                    self.sound_start = frames - run
        self.frames, self.run = frames, run

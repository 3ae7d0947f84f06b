# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Would a listener hear gaps? A player that starts with the first audio and never waits for more."""

from __future__ import annotations

from otel_tts.audio.thresholds import DEFAULTS


class Playout:
    """Follows a stream of chunks in constant memory.

    The player begins when the first chunk with audio arrives and plays without pause. A chunk that comes later than the
    end of all audio before it leaves the player dry by the difference; the worst such deficit is the underrun, which is
    also how much the player would have had to hold back. The model is vllm-omni's
    (https://github.com/vllm-project/vllm-omni/pull/3618).
    """

    __slots__ = ("_deficit", "_dry_at", "_limit", "_measurable", "chunks", "first_audio_at", "first_chunk_at")

    def __init__(self, limit: float = DEFAULTS.underrun) -> None:
        self.chunks = 0
        self.first_chunk_at: float | None = None
        """When the first chunk came, on the caller's clock; it may hold no audio, only a header."""
        self.first_audio_at: float | None = None
        """When the first chunk with audio came: where the player starts."""
        self._limit = limit
        self._dry_at = 0.0
        self._deficit = 0.0
        self._measurable = True

    def chunk(self, t: float, seconds: float | None) -> None:
        """A chunk of `seconds` of audio came at time `t`, in seconds; None when its length is not known."""
        self.chunks += 1
        if self.first_chunk_at is None:
            self.first_chunk_at = t
        if seconds is None:
            self._measurable = False
        elif seconds > 0.0:
            if self.first_audio_at is None:
                self.first_audio_at = self._dry_at = t
            elif t - self._dry_at > self._deficit:
                self._deficit = t - self._dry_at
            self._dry_at += seconds

    @property
    def underrun(self) -> float | None:
        """The worst deficit in seconds: 0.0 when the player never ran dry, None when there was nothing to play."""
        return self._deficit if self._measurable and self.first_audio_at is not None else None

    @property
    def continuous(self) -> bool | None:
        """Whether the underrun stayed under the limit (0.1 s), None when it is not known."""
        underrun = self.underrun
        return None if underrun is None else underrun < self._limit

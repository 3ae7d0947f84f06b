# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Would a listener hear gaps? A player that starts with the first audio and never waits for more."""

from __future__ import annotations

from typing import Final

from otel_tts.audio.thresholds import DEFAULTS

_MAX_WAITS: Final = 64
_MAX_ARRIVALS: Final = 256


class Playout:
    """Follows a stream of chunks in constant memory.

    The player begins when the first chunk with audio arrives and plays without pause. A chunk that comes later than the
    end of all audio before it leaves the player dry by the difference; the worst such deficit is the underrun, which is
    also how much the player would have had to hold back. The model is vllm-omni's
    (https://github.com/vllm-project/vllm-omni/pull/3618).
    """

    __slots__ = (
        "_arrivals", "_deficit", "_dry_at", "_in_each", "_in_last", "_last_at", "_limit", "_measurable", "_waits",
        "chunks", "first_audio_at", "first_chunk_at", "gap",
    )  # fmt: skip

    def __init__(self, limit: float = DEFAULTS.underrun) -> None:
        self.chunks = 0
        self.first_chunk_at: float | None = None
        """When the first chunk came, on the caller's clock; it may hold no audio, only a header."""
        self.first_audio_at: float | None = None
        """When the first chunk with audio came: where the player starts."""
        self.gap: float | None = None
        """Longest time between two chunks, in seconds; None for fewer than two."""
        self._limit = limit
        self._last_at = 0.0
        self._waits: list[tuple[float, float]] = []
        """Where in the audio the deficit grew, and to what: at most `_MAX_WAITS` of them."""
        self._arrivals: list[tuple[float, float]] = []
        """When audio came, and how many seconds of it had come by then: one for `_in_each` chunks of a long stream."""
        self._in_each, self._in_last = 1, 0
        self._dry_at = 0.0
        self._deficit = 0.0
        self._measurable = True

    def chunk(self, t: float, seconds: float | None) -> None:
        """A chunk of `seconds` of audio came at time `t`, in seconds; None when its length is not known."""
        self.chunks += 1
        if self.first_chunk_at is None:
            self.first_chunk_at = t
        elif self.gap is None or t - self._last_at > self.gap:
            self.gap = t - self._last_at
        self._last_at = t
        if seconds is None:
            self._measurable = False
        elif seconds > 0.0:
            if self.first_audio_at is None:
                self.first_audio_at = self._dry_at = t
            elif t - self._dry_at > self._deficit:
                self._deficit = t - self._dry_at
                if len(self._waits) < _MAX_WAITS:
                    self._waits.append((self._dry_at - self.first_audio_at, self._deficit))
            self._dry_at += seconds
            self._note_arrival(t, seconds)

    def _note_arrival(self, t: float, seconds: float) -> None:
        arrivals = self._arrivals
        whole = seconds + (arrivals[-1][1] if arrivals else 0.0)
        if arrivals and self._in_last < self._in_each:
            arrivals[-1] = (t, whole)
            self._in_last += 1
            return
        arrivals.append((t, whole))
        self._in_last = 1
        if len(arrivals) > _MAX_ARRIVALS:
            del arrivals[-3::-2]  # every second one but the last, from the end
            self._in_each *= 2

    def share_after(self, began: float, part: float) -> float | None:
        """Return which share of the audio came after `part` of the time between `began` and the last of it.

        None where it is not known, and of a single chunk. A stream that comes in one burst has 1.0 after any part.
        """
        if not self._measurable or len(self._arrivals) < 2:
            return None
        last, whole = self._arrivals[-1]
        limit = began + part * (last - began)
        before = max((come for at, come in self._arrivals if at <= limit), default=0.0)
        return 1.0 - before / whole

    def waited_before(self, position: float) -> float:
        """Seconds that a player which waits where it runs dry has waited when it gets to `position` of the audio."""
        waited = 0.0
        for where, deficit in self._waits:
            if where > position:
                break
            waited = deficit
        return waited if self._measurable else 0.0

    @property
    def underrun(self) -> float | None:
        """The worst deficit in seconds: 0.0 when the player never ran dry, None when there was nothing to play."""
        return self._deficit if self._measurable and self.first_audio_at is not None else None

    @property
    def continuous(self) -> bool | None:
        """Whether the underrun stayed under the limit (0.1 s), None when it is not known."""
        underrun = self.underrun
        return None if underrun is None else underrun < self._limit

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How the latest requests ended, by their id: for who asks after a stream whose connection says nothing any more."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from otel_tts import names
from otel_tts.recording.synthesis import Synthesis

MOST: Final = 10_000
"""Requests that are kept; the oldest go first."""
_WORST_FIRST: Final = (
    names.Outcome.ERROR, names.Outcome.ANOMALOUS, names.Outcome.REJECTED, names.Outcome.CANCELLED, names.Outcome.OK,
)  # fmt: skip
_HEARD: Final = frozenset({names.Outcome.OK, names.Outcome.ANOMALOUS})


class Ended(NamedTuple):
    """How a request ended: the worst outcome of its syntheses, seconds of all of them and of their audio.

    `ended_s` is Unix time.
    """

    outcome: str
    error_type: str | None
    duration_s: float
    audio_s: float
    ended_s: float
    syntheses: int


class Outcomes:
    """Filled by the emitter's thread alone; any other may read."""

    def __init__(self) -> None:
        self._by_id: dict[str, Ended] = {}
        self.heard = 0
        """Requests that ended with audio, since the process began."""
        self.fallbacks = 0
        """Requests in a row, up to the latest, that ran on the CPU after having run on a device."""

    def note(self, synthesis: Synthesis) -> None:
        """Take note of a finished synthesis whose facts are settled."""
        attrs = synthesis.attrs
        outcome: str = attrs[names.OUTCOME]
        if outcome in _HEARD:
            self.heard += 1
            self.fallbacks = self.fallbacks + 1 if attrs.get(names.DEVICE_FALLBACK) else 0
        self._keep(attrs[names.REQUEST_ID], _ended(synthesis, outcome, attrs))

    def get(self, request_id: str) -> Ended | None:
        """Return how that request ended; None where it is not known, or not any more."""
        return self._by_id.get(request_id)

    def _keep(self, request_id: str, ended: Ended) -> None:
        before = self._by_id.pop(request_id, None)
        self._by_id[request_id] = ended if before is None else _both(before, ended)
        if len(self._by_id) > MOST:
            del self._by_id[next(iter(self._by_id))]


def _ended(synthesis: Synthesis, outcome: str, attrs: dict[str, Any]) -> Ended:
    ended: int = synthesis.t1 or synthesis.t0
    audio = attrs.get(names.AUDIO_DURATION) or 0.0
    at_s = (synthesis.epoch_offset_ns + ended) / 1e9
    return Ended(outcome, attrs.get(names.ERROR_TYPE), (ended - synthesis.t0) / 1e9, audio, at_s, 1)


def _both(before: Ended, after: Ended) -> Ended:
    worst = min(before, after, key=lambda ended: _WORST_FIRST.index(ended.outcome))
    return Ended(
        worst.outcome, worst.error_type, before.duration_s + after.duration_s, before.audio_s + after.audio_s,
        after.ended_s, before.syntheses + after.syntheses,
    )  # fmt: skip

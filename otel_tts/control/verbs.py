# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a process: how a request ended, how it is now, and to empty torch's cache."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final

import psutil

from otel_tts import names
from otel_tts.control.cache import empty_cache
from otel_tts.control.progress import OpenStage, Progress
from otel_tts.control.server import Verb
from otel_tts.device.power.nvml import Snapshot
from otel_tts.emit.emitter import Emitter
from otel_tts.emit.outcomes import Ended
from otel_tts.guard import contain
from otel_tts.privacy.allowed import CLASS, TOKEN
from otel_tts.privacy.policy import REDACTED
from otel_tts.recording.request import is_acceptable

Said = Mapping[str, Any]

_MOST_STAGES: Final = 16


class Verbs:
    """The verbs of one process. Answers hold numbers and words of ours, never what was said."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter, self._recorder = emitter, emitter.recorder
        self._progress = Progress(emitter.recorder)

    def all(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {"status": self.status, "health": self.health, "empty-cache": self.empty_cache}

    def status(self, request_id: str) -> Said:
        """How the request with that id is: open, ending, finished or unknown."""
        if not is_acceptable(request_id):
            return {"error": "status takes one request id"}
        if (open_s := self._open_for(request_id)) is not None:
            return {"state": "open", "age_s": round(open_s, 3)}
        ended = self._emitter.outcomes.get(request_id) if self._emitter.outcomes is not None else None
        if ended is not None:
            return _described(ended)
        waits = any(record.attrs.get(names.REQUEST_ID) == request_id for record in self._recorder.finished.copy())
        return {"state": "ending" if waits else "unknown"}

    def _open_for(self, request_id: str) -> float | None:
        now = time.perf_counter_ns()
        ages = [
            (now - synthesis.t0) / 1e9
            for synthesis in list(self._recorder.open.values())
            if synthesis.attrs.get(names.REQUEST_ID) == request_id
        ]
        return max(ages, default=None)

    def health(self, rest: str = "") -> Said:
        """What a watcher needs: open stages and whether they move, memory of this process and of its devices."""
        stages, outcomes, moved = self._progress.look(), self._emitter.outcomes, self._progress.moved_s
        lag = self._recorder.loops.worst_lag_s()
        return {
            "pid": os.getpid(),
            "open": len(self._recorder.open),
            "stages": [_stage(stage) for stage in stages[:_MOST_STAGES]],
            "still_s": [round(stage.still_s, 1) for stage in stages],
            "quiet_s": round(max((stage.quiet_s for stage in stages), default=0.0), 1),
            "moved_s": None if moved is None else round(moved, 3),
            "loop_lag_s": None if lag is None else round(lag, 3),
            "heard": outcomes.heard if outcomes is not None else 0,
            "fallbacks": outcomes.fallbacks if outcomes is not None else 0,
            "memory": contain("control.memory", lambda: psutil.Process().memory_info().rss),
            "gpus": [_gpu(one) for one in self._recorder.devices.poller.snapshots() if one.memory_total],
        }

    def empty_cache(self, rest: str = "") -> Said:
        """Give torch's unused device memory back to the driver, in a moment without an open stage."""
        return empty_cache(self._recorder)


def _described(ended: Ended) -> Said:
    error = {} if ended.error_type is None else {"error_type": _word(ended.error_type)}
    return {
        "state": "finished", "outcome": ended.outcome, **error, "syntheses": ended.syntheses,
        "duration_s": round(ended.duration_s, 3), "audio_s": round(ended.audio_s, 3), "ended": round(ended.ended_s, 3),
    }  # fmt: skip


def _word(text: str) -> str:
    return text if CLASS.fits_text(text) else REDACTED


def _stage(stage: OpenStage) -> Said:
    return {
        "stage": stage.stage if TOKEN.fits_text(stage.stage) else REDACTED,
        "age_s": round(stage.age_s, 3), "still_s": round(stage.still_s, 3), "quiet_s": round(stage.quiet_s, 3),
    }  # fmt: skip


def _gpu(snapshot: Snapshot) -> Said:
    return {"id": snapshot.id, "used": snapshot.memory_used, "total": snapshot.memory_total, "lost": snapshot.lost}

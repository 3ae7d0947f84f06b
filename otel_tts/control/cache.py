# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Empties the cache of torch's allocator, where the application uses one; torch is never imported for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from otel_tts.device.torch import allocator
from otel_tts.device.torch.graphs import guard
from otel_tts.recording.recorder import Recorder

WAIT_S: Final = 5.0
"""Seconds that a moment without an open stage is waited for; who asks may ask again."""
_LOOK_EVERY_S: Final = 0.002


def empty_cache(recorder: Recorder, wait_s: float = WAIT_S) -> Mapping[str, Any]:
    """Say whether it was emptied, and the bytes that went back to the driver; else why not."""
    began = time.monotonic()
    found = allocator.find()
    if found is None:
        return {"emptied": False, "reason": "torch has no device in use here"}
    while True:
        if not _is_at_work(recorder) and (freed := _try(found)) is not None:
            return {"emptied": True, "freed": freed, "waited_s": round(time.monotonic() - began, 3)}
        if time.monotonic() - began > wait_s:
            return {"emptied": False, "reason": "there was no moment without an open stage"}
        time.sleep(_LOOK_EVERY_S)


def _is_at_work(recorder: Recorder) -> bool:
    return any(synthesis.stages.open for synthesis in list(recorder.open.values()))


def _try(found: allocator.TorchAllocator) -> int | None:
    """Empty it; None while a graph is captured, which giving memory back would break."""
    if not guard.enter():
        return None
    try:
        before = _reserved(found)
        sys.modules["torch"].cuda.empty_cache()
        return max(0, before - _reserved(found))
    finally:
        guard.leave()


def _reserved(found: allocator.TorchAllocator) -> int:
    stats = (found.stats(device) for device in range(found.count()))
    return sum(each["reserved_bytes"]["all"]["current"] for each in stats if each)

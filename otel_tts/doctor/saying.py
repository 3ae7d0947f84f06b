# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m otel_tts.doctor.saying ID TRACEPARENT`, under the launcher: a canary within its caller's trace."""

from __future__ import annotations

import sys
import time

import numpy as np
from opentelemetry import context
from opentelemetry.propagate import extract

import otel_tts
from otel_tts.doctor.canary import STAGES, TEXT

_RATE = 24_000
_SUNG_S = 0.05
"""As long as a small engine takes, so that the stage is most of the synthesis."""


def say(request_id: str, traceparent: str) -> None:
    """Make one synthesis of half a second."""
    token = context.attach(extract({"traceparent": traceparent}))
    try:
        with otel_tts.synthesis("canary", engine="doctor", text=TEXT, voice="canary", request_id=request_id) as spoken:
            with spoken.stage(STAGES[0]):
                length = len(TEXT)
            with spoken.stage(STAGES[1]):
                time.sleep(_SUNG_S)
                tone = np.sin(np.arange(_RATE // 2) / (5 + length / 10)).astype(np.float32) * 0.3
            spoken.audio(tone, sample_rate=_RATE)
    finally:
        context.detach(token)


if __name__ == "__main__":
    say(*sys.argv[1:3])

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the services here speak with."""

from __future__ import annotations

import time

import numpy as np

import otel_tts


@otel_tts.synthesis("sparrow", text_argument="text", sample_rate=24000)
def say(text: str) -> np.ndarray:
    with otel_tts.stage("acoustic_model"):
        time.sleep(0.005)
    return np.sin(np.arange(2400 * len(text)) * 0.1).astype(np.float32) / 3

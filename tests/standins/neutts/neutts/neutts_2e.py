# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from neutts.neutts import NeuTTS


class NeuTTS2E(NeuTTS):
    def infer(self, text, speaker="emily", emotion="neutral", temperature=1.0, top_k=50):
        return super().infer(text, *self._speaker(speaker), emotion=emotion, temperature=temperature, top_k=top_k)

    def infer_stream(self, text, speaker="emily", emotion="neutral", temperature=1.0, top_k=50):
        return super().infer_stream(
            text, *self._speaker(speaker), emotion=emotion, temperature=temperature, top_k=top_k
        )

    def _speaker(self, name):
        if name not in ("emily", "paul", "sophie", "steven"):
            raise ValueError(f"no speaker {name}")
        return np.arange(150), "so be it"

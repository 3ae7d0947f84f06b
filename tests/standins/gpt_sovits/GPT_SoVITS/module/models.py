# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

SAMPLES_PER_TOKEN = 640


class SynthesizerTrn:
    def decode(self, codes, text, refer, noise_scale=0.5, speed=1, sv_emb=None):
        return self._wave(codes)

    def decode_streaming(self, codes, text, refer, noise_scale=0.5, speed=1, sv_emb=None, result_length=None):
        return self._wave(codes), None, None

    def _wave(self, codes):
        wave = np.repeat(np.asarray(codes, np.float32).reshape(1, 1, -1), SAMPLES_PER_TOKEN, axis=2)
        wave[:, :, 1::2] *= -1
        return wave

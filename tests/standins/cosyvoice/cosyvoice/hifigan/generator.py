# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

SAMPLES_PER_TOKEN = 240


def _wave(speech_feat):
    wave = np.repeat(speech_feat, SAMPLES_PER_TOKEN, axis=1)
    wave[:, 1::2] *= -1
    return wave, None


class HiFTGenerator:
    def inference(self, speech_feat, cache_source=None):
        return _wave(speech_feat)


class CausalHiFTGenerator(HiFTGenerator):
    def inference(self, speech_feat, finalize=True):
        return _wave(speech_feat)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The codec: a code is 2048 samples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

SAMPLES = 2048


class DAC:
    device = SimpleNamespace(type="cpu")
    sample_rate = 44100

    def encode(self, audios, audio_lengths):
        return np.zeros((1, 10, 3), np.int64), None

    def from_indices(self, indices):
        return np.tile(np.float32([0.4, -0.4]), indices.shape[2] * SAMPLES // 2)


def load_model(config_name, checkpoint_path, device="cuda"):
    return DAC()

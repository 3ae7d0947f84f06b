# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import soundfile


def save_pcm_wav(path, wav, sampling_rate):
    soundfile.write(path, wav.T / 32767, sampling_rate, "PCM_16", format="WAV")

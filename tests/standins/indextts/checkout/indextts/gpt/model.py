# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from indextts.parts import Module


class UnifiedVoice(Module):
    """v1 and v1.5: one conditioning, latents as the second pass."""

    codes_per_token = 3
    max_mel_tokens = 605

    def inference_speech(
        self, speech_conditioning_mel, text_inputs, cond_mel_lengths=None, max_generate_length=None, **kwargs
    ):
        limit = self.max_mel_tokens - 1 if max_generate_length is None else max_generate_length
        return np.repeat(text_inputs, self.codes_per_token, axis=1)[:, :limit]

    def forward(self, speech_conditioning_latent, text_inputs, text_lengths, mel_codes, wav_lengths, **kwargs):
        return mel_codes[:, :, None] * np.ones(4, np.float32)

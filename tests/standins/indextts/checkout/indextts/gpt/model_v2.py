# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from indextts.parts import Module


class UnifiedVoice(Module):
    """v2 and v2.5: speaker and emotion, the latter's vector merged first."""

    codes_per_token = 3
    max_mel_tokens = 1815

    def merge_emovec(self, speech, emotion, speech_lengths, emotion_lengths, alpha=1.0):
        return speech + alpha * (emotion - speech)

    def inference_speech(
        self, speech_condition, text_inputs, *conditions, emo_vec=None, max_generate_length=None, **kwargs
    ):
        if kwargs:
            raise ValueError(f"The following model_kwargs are not used by the model: {sorted(kwargs)}")
        limit = self.max_mel_tokens - 1 if max_generate_length is None else max_generate_length
        return np.repeat(text_inputs, self.codes_per_token, axis=1)[:, :limit], speech_condition + emo_vec

    def forward(self, speech_conditioning_latent, text_inputs, text_lengths, mel_codes, *rest, **kwargs):
        return mel_codes[:, :, None] + speech_conditioning_latent.sum()

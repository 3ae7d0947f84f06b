# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from vllm.v1.engine.async_llm import SamplingParams

from indextts.parts import Module


class UnifiedVoice(Module):
    """index-tts-vllm: vLLM makes the codes."""

    codes_per_token = 3
    max_tokens = 2048

    def __init__(self, llm):
        self.llm = llm

    def merge_emovec(self, speech, emotion, speech_lengths, emotion_lengths, alpha=1.0):
        return speech + alpha * (emotion - speech)

    async def inference_speech(self, speech_conditioning_latent, text_inputs, emo_speech_conditioning_latent=None,
                               cond_lengths=None, emo_cond_lengths=None, emo_vec=None):  # fmt: skip
        wanted = np.repeat(text_inputs, self.codes_per_token, axis=1)[0].tolist()
        asked = SamplingParams(max_tokens=self.max_tokens)
        said = self.llm.generate({"prompt_token_ids": wanted}, sampling_params=asked, request_id="1")
        output = [output async for output in said][-1]
        return np.array([output.outputs[0].token_ids]), speech_conditioning_latent + emo_vec

    def forward(self, speech_conditioning_latent, text_inputs, text_lengths, mel_codes, *rest, **kwargs):
        return mel_codes[:, :, None] + speech_conditioning_latent.sum()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""faster-qwen3-tts: classes and order of calls are the package's, what is computed is not."""

from __future__ import annotations

import numpy as np

SAMPLES = 1920


class Graph:
    max_seq_len = 64


class FasterQwen3TTS:
    def __init__(self):
        self.talker_graph, self.predictor_graph, self._voice_prompt_cache = Graph(), Graph(), {}

    @classmethod
    def from_pretrained(cls, model_name, device="cuda", max_seq_len=2048, backend="torch"):
        return cls()

    def _resolve_voice_clone_prompt(self, input_ids, ref_audio, ref_text, xvec_only, append_silence,
                                    voice_clone_prompt):  # fmt: skip
        if voice_clone_prompt is not None:
            return voice_clone_prompt
        if ref_audio is None:
            raise ValueError("ref_audio is required when voice_clone_prompt is not provided")
        return self._voice_prompt_cache.setdefault((str(ref_audio), ref_text, xvec_only, append_silence), [ref_text])

    def _prepare_generation(self, text, ref_audio=None, ref_text="", xvec_only=False, append_silence=True,
                            voice_clone_prompt=None):  # fmt: skip
        self._resolve_voice_clone_prompt([], ref_audio, ref_text, xvec_only, append_silence, voice_clone_prompt)
        return np.zeros((1, len(text), 4), np.float32)

    def _prepare_generation_custom(self, text):
        return np.zeros((1, len(text), 4), np.float32)

    def generate_voice_clone(self, text, language, ref_audio=None, ref_text="", max_new_tokens=2048, xvec_only=False,
                             append_silence=True, voice_clone_prompt=None):  # fmt: skip
        embeds = self._prepare_generation(text, ref_audio, ref_text, xvec_only, append_silence, voice_clone_prompt)
        return self._whole(embeds, max_new_tokens)

    def generate_voice_clone_streaming(self, text, language, ref_audio=None, ref_text="", max_new_tokens=2048,
                                       chunk_size=12, xvec_only=False, append_silence=True, parity_mode=False,
                                       voice_clone_prompt=None):  # fmt: skip
        embeds = self._prepare_generation(text, ref_audio, ref_text, xvec_only, append_silence, voice_clone_prompt)
        yield from self._stream(embeds, max_new_tokens, chunk_size, parity_mode)

    def generate_custom_voice(self, text, speaker, language, instruct=None, max_new_tokens=2048):
        return self._whole(self._prepare_generation_custom(text), max_new_tokens)

    def generate_custom_voice_streaming(self, text, speaker, language, instruct=None, max_new_tokens=2048,
                                        chunk_size=12):  # fmt: skip
        yield from self._stream(self._prepare_generation_custom(text), max_new_tokens, chunk_size, False)

    def generate_voice_design(self, text, instruct, language, max_new_tokens=2048):
        return self._whole(self._prepare_generation_custom(text), max_new_tokens)

    def generate_voice_design_streaming(self, text, instruct, language, max_new_tokens=2048, chunk_size=12):
        yield from self._stream(self._prepare_generation_custom(text), max_new_tokens, chunk_size, False)

    def _whole(self, embeds, max_new_tokens):
        from .generate import fast_generate

        codes, _ = fast_generate(
            talker=None, talker_input_embeds=embeds, talker_graph=self.talker_graph, max_new_tokens=max_new_tokens
        )
        return [decode(codes)], 24000

    def _stream(self, embeds, max_new_tokens, chunk_size, parity_mode):
        from .streaming import fast_generate_streaming, parity_generate_streaming

        given = {"talker_input_embeds": embeds, "max_new_tokens": max_new_tokens, "chunk_size": chunk_size}
        if parity_mode:
            chunks = parity_generate_streaming(talker=None, **given)
        else:
            chunks = fast_generate_streaming(talker=None, talker_graph=self.talker_graph, **given)
        for codes, timing in chunks:
            yield decode(codes), 24000, timing


def decode(codes):
    return np.resize([0.2, -0.2], SAMPLES * len(codes)).astype(np.float32)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 1 and 1.5: the order of calls and marks is upstream's, what is computed is not."""

from __future__ import annotations

import os

import numpy as np

from indextts.BigVGAN.models import BigVGAN as Generator
from indextts.gpt.model import UnifiedVoice
from indextts.parts import embedding, load
from indextts.utils.common import save_pcm_wav
from indextts.utils.front import TextNormalizer, TextTokenizer


class IndexTTS:
    def __init__(self, cfg_path="checkpoints/config.yaml", model_dir="checkpoints", use_fp16=True, device=None):
        self.device = device or "cpu"
        self.gpt, self.bigvgan = UnifiedVoice(), Generator()
        self.tokenizer = TextTokenizer(TextNormalizer())
        self.cache_audio_prompt = self.cache_cond_mel = None
        self.gr_progress = None
        self.model_version = 1.5

    def _set_gr_progress(self, value, desc):
        if self.gr_progress is not None:
            self.gr_progress(value, desc=desc)

    def _reference(self, audio_prompt):
        """Inline twice upstream; nothing hooks it."""
        if self.cache_cond_mel is None or self.cache_audio_prompt != audio_prompt:
            self.cache_cond_mel = embedding(load(audio_prompt)[0])
            self.cache_audio_prompt = audio_prompt
        return self.cache_cond_mel

    def infer_fast(self, audio_prompt, text, output_path, verbose=False, max_text_tokens_per_segment=100,
                   segments_bucket_max_size=4, **generation_kwargs):  # fmt: skip
        print(">> starting fast inference...")
        max_mel_tokens = generation_kwargs.pop("max_mel_tokens", 600)
        self._set_gr_progress(0, "starting fast inference...")
        if verbose:
            print(f"origin text:{text}")
        conditioning = self._reference(audio_prompt)
        tokens = self.tokenizer.tokenize(text)
        segments = self.tokenizer.split_segments(tokens, max_text_tokens_per_segment=max_text_tokens_per_segment)
        self._set_gr_progress(0.1, "text processing...")
        size = segments_bucket_max_size
        batches = [segments[at : at + size] for at in range(0, len(segments), size)]
        all_codes, done = [], 0
        for batch in batches:
            ids = [self.tokenizer.convert_tokens_to_ids(sentence) for sentence in batch]
            width = max(map(len, ids))
            padded = np.array([row + [0] * (width - len(row)) for row in ids])
            done += len(batch)
            self._set_gr_progress(0.2 + 0.3 * done / len(segments), f"gpt speech inference {done}/{len(segments)}...")
            made = self.gpt.inference_speech(conditioning, padded, max_generate_length=max_mel_tokens)
            all_codes.extend(zip(made, ids, strict=True))
        self._set_gr_progress(0.5, "gpt latents inference...")
        latents = []
        for codes, row in all_codes:
            codes = codes[: len(row) * self.gpt.codes_per_token]
            latents.append(self.gpt(conditioning, np.array([row]), len(row), codes[None, :], len(codes)))
        self._set_gr_progress(0.7, "bigvgan decoding...")
        wavs = []
        for at in range(0, len(latents), 2):
            wav, _ = self.bigvgan(np.concatenate(latents[at : at + 2], axis=1), conditioning)
            wavs.append(np.clip(32767 * wav[0], -32767.0, 32767.0))
        return self._saved(wavs, output_path)

    def infer(self, audio_prompt, text, output_path, verbose=False, max_text_tokens_per_segment=120,
              **generation_kwargs):  # fmt: skip
        print(">> starting inference...")
        max_mel_tokens = generation_kwargs.pop("max_mel_tokens", 600)
        self._set_gr_progress(0, "starting inference...")
        if verbose:
            print(f"origin text:{text}")
        conditioning = self._reference(audio_prompt)
        self._set_gr_progress(0.1, "text processing...")
        segments = self.tokenizer.split_segments(self.tokenizer.tokenize(text), max_text_tokens_per_segment)
        wavs = []
        for progress, sentence in enumerate(segments, 1):
            tokens = np.array([self.tokenizer.convert_tokens_to_ids(sentence)])
            self._set_gr_progress(0.2 + 0.4 * (progress - 1) / len(segments),
                                  f"gpt latents inference {progress}/{len(segments)}...")  # fmt: skip
            codes = self.gpt.inference_speech(conditioning, tokens, max_generate_length=max_mel_tokens)
            self._set_gr_progress(0.2 + 0.4 * progress / len(segments),
                                  f"gpt speech inference {progress}/{len(segments)}...")  # fmt: skip
            latent = self.gpt(conditioning, tokens, tokens.shape[1], codes, codes.shape[1])
            wav, _ = self.bigvgan(latent, conditioning)
            wavs.append(np.clip(32767 * wav[0], -32767.0, 32767.0))
        return self._saved(wavs, output_path)

    def _saved(self, wavs, output_path):
        self._set_gr_progress(0.9, "saving audio...")
        wav = np.concatenate(wavs, axis=1)
        print(f">> Generated audio length: {wav.shape[-1] / 24000:.2f} seconds")
        if output_path:
            if os.path.isfile(output_path):
                os.remove(output_path)
                print(">> remove old wav file:", output_path)
            save_pcm_wav(output_path, wav, 24000)
            print(">> wav file saved to:", output_path)
            return output_path
        return (24000, wav.astype(np.int16).T)

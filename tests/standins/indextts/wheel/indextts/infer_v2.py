# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 2 as the package indextts2-inference has it: methods in place of marks, floats of full scale 1."""

from __future__ import annotations

import logging

import numpy as np
import soundfile

from indextts.emotion import QwenEmotion
from indextts.gpt.model_v2 import UnifiedVoice
from indextts.parts import embedding, load
from indextts.s2mel.modules.bigvgan import bigvgan
from indextts.s2mel.modules.commons import MyModel
from indextts.utils.front import TextNormalizer, TextTokenizer

logger = logging.getLogger("indextts")


class IndexTTS2:
    def __init__(self, model_dir=None, cfg_path=None, use_fp16=False, device=None):
        self.device = device or "cpu"
        self.gpt, self.s2mel, self.bigvgan = UnifiedVoice(), MyModel(), bigvgan.BigVGAN()
        self.tokenizer, self.qwen_emo = TextTokenizer(TextNormalizer()), QwenEmotion()
        self.cache_spk_cond = self.cache_spk_audio_prompt = None
        self.cache_emo_cond = self.cache_emo_audio_prompt = None

    def insert_interval_silence(self, wavs, sampling_rate=22050, interval_silence=200):
        if not wavs or interval_silence <= 0:
            return wavs
        silence = np.zeros((1, int(sampling_rate * interval_silence / 1000.0)), np.float32)
        return [part for wav in wavs for part in (wav, silence)][:-1]

    def _get_speaker_conditioning(self, spk_audio_prompt, verbose=False):
        if self.cache_spk_cond is None or self.cache_spk_audio_prompt != spk_audio_prompt:
            self.cache_spk_cond = embedding(load(spk_audio_prompt)[0])
            self.cache_spk_audio_prompt = spk_audio_prompt
        return self.cache_spk_cond

    def _get_emotion_conditioning(self, emo_audio_prompt, verbose=False):
        if self.cache_emo_cond is None or self.cache_emo_audio_prompt != emo_audio_prompt:
            self.cache_emo_cond = embedding(load(emo_audio_prompt)[0])
            self.cache_emo_audio_prompt = emo_audio_prompt
        return self.cache_emo_cond

    def infer(self, spk_audio_prompt, text, output_path, emo_audio_prompt=None, emo_alpha=1.0, emo_vector=None,
              use_emo_text=False, emo_text=None, use_random=False, interval_silence=200, verbose=False,
              max_text_tokens_per_segment=120, stream_return=False, quick_streaming_tokens=0,
              **generation_kwargs):  # fmt: skip
        given = (spk_audio_prompt, text, output_path, emo_audio_prompt, emo_alpha, emo_vector, use_emo_text, emo_text,
                 use_random, interval_silence, verbose, max_text_tokens_per_segment, stream_return,
                 quick_streaming_tokens)  # fmt: skip
        if stream_return:
            return self.infer_generator(*given, **generation_kwargs)
        try:
            results = list(self.infer_generator(*given, **generation_kwargs))
            return results[0]
        except IndexError:
            return None

    def infer_generator(self, spk_audio_prompt, text, output_path, emo_audio_prompt=None, emo_alpha=1.0,
                        emo_vector=None, use_emo_text=False, emo_text=None, use_random=False, interval_silence=200,
                        verbose=False, max_text_tokens_per_segment=120, stream_return=False,
                        quick_streaming_tokens=0, **generation_kwargs):  # fmt: skip
        max_mel_tokens = generation_kwargs.pop("max_mel_tokens", 1500)
        if verbose:
            logger.warning("origin text:%s, spk_audio_prompt:%s", text, spk_audio_prompt)
        if use_emo_text or emo_vector is not None:
            emo_audio_prompt = None
        if use_emo_text:
            emo_vector = list(self.qwen_emo.inference(emo_text or text).values())
        if emo_audio_prompt is None:
            emo_audio_prompt, emo_alpha = spk_audio_prompt, 1.0
        speaker = self._get_speaker_conditioning(spk_audio_prompt, verbose)
        emotion = self._get_emotion_conditioning(emo_audio_prompt, verbose)
        tokens = self.tokenizer.tokenize(text)
        segments = self.tokenizer.split_segments(tokens, max_text_tokens_per_segment)
        wavs = []
        for sentence in segments:
            row = np.array([self.tokenizer.convert_tokens_to_ids(sentence)])
            emovec = self.gpt.merge_emovec(speaker, emotion, None, None, alpha=emo_alpha) + sum(emo_vector or [0])
            codes, latent = self.gpt.inference_speech(
                speaker, row, emotion, emo_vec=emovec, max_generate_length=max_mel_tokens, **generation_kwargs
            )
            if codes[:, -1].any():
                codes = codes[:, : codes.shape[1]]
            latent = self.s2mel.models["gpt_layer"](self.gpt(latent, row, None, codes, None, emotion, emo_vec=emovec))
            cond = self.s2mel.models["length_regulator"](latent, ylens=codes.shape[1] * 1.72)[0]
            mel = self.s2mel.models["cfm"].inference(cond, None, None, speaker, None, 5, inference_cfg_rate=0.7)
            wavs.append(np.clip(self.bigvgan(mel), -1.0, 1.0))
            if stream_return:
                yield wavs[-1]
                yield np.zeros((1, int(22050 * interval_silence / 1000.0)), np.float32)
        wav = np.concatenate(self.insert_interval_silence(wavs, interval_silence=interval_silence), axis=1)
        if output_path:
            soundfile.write(output_path, wav.T, 22050, "PCM_16", format="WAV")
            if not stream_return:
                yield output_path
        elif not stream_return:
            yield (22050, (wav * 32767).astype(np.int16).T)

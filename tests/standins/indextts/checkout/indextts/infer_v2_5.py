# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 2.5: the order of calls, marks and prints is upstream's, what is computed is not."""

from __future__ import annotations

import os
import re

import numpy as np

from indextts.codec.models import EnhancedCodec
from indextts.gpt.model_v2 import UnifiedVoice
from indextts.parts import embedding, load
from indextts.s2mel.modules.bigvgan import bigvgan
from indextts.s2mel.modules.commons import MyModel
from indextts.utils.common import save_pcm_wav
from indextts.utils.front import TextNormalizer

LANGUAGES = {"en": 0, "zh": 1, "zhen": 2, "ja": 3, "es": 4}


class IndexTTS2:
    def __init__(self, cfg_path="checkpoints/config.yaml", model_dir="checkpoints", use_bf16=False, device=None,
                 low_vram=False):  # fmt: skip
        self.device, self.low_vram = device or "cpu", low_vram
        self.gpt, self.s2mel, self.bigvgan = UnifiedVoice(), MyModel(), bigvgan.BigVGAN()
        self.semantic_codec = EnhancedCodec()
        self.text_process = TextNormalizer()
        self.qwen_emo = None
        self.cache_spk_cond = self.cache_spk_audio_prompt = None
        self.cache_emo_cond = self.cache_emo_audio_prompt = None
        self.gr_progress = None

    def _set_gr_progress(self, value, desc):
        if self.gr_progress is not None:
            self.gr_progress(value, desc=desc)

    def get_emb(self, input_features, attention_mask):
        return embedding(input_features)

    def insert_interval_silence(self, wavs, sampling_rate=22050, interval_silence=200):
        if not wavs or interval_silence <= 0:
            return wavs
        silence = np.zeros((1, int(sampling_rate * interval_silence / 1000.0)), np.float32)
        return [part for wav in wavs for part in (wav, silence)][:-1]

    def split_text_by_tokens(self, text, max_tokens, lang_prefix=""):
        return [part for part in re.split(r"(?<=[.!?。])\s*", text) if part] or [text]

    def split_text_by_punctuation(self, text, max_chars=40):
        return self.split_text_by_tokens(text, max_chars)

    def infer(self, spk_audio_prompt, text, output_path, lang, emo_audio_prompt=None, emo_alpha=1.0, emo_vector=None,
              use_emo_text=False, emo_text=None, use_random=False, interval_silence=200, verbose=False,
              max_text_tokens_per_segment=120, stream_return=False, more_segment_before=0, duration_factor=1.0,
              text_normalization=True, **generation_kwargs):  # fmt: skip
        emotion = (emo_audio_prompt, emo_alpha, emo_vector, use_emo_text, emo_text, use_random)
        rest = {"duration_factor": duration_factor, "text_normalization": text_normalization, **generation_kwargs}
        if self.low_vram and not stream_return and len(text) > 40:
            wavs = []
            for part in self.split_text_by_punctuation(text):
                results = list(self.infer_generator(
                    spk_audio_prompt, part, None, lang, *emotion, 0, verbose, max_text_tokens_per_segment, False, 0,
                    **rest,
                ))  # fmt: skip
                if results and isinstance(results[-1], tuple):
                    wavs.append(results[-1][1].T)
            if not wavs:
                return None
            pause = np.zeros((1, int(22050 * interval_silence / 1000)), np.int16)
            wav = np.concatenate([part for one in wavs for part in (one, pause)][:-1], axis=1)
            if output_path:
                save_pcm_wav(output_path, wav, 22050)
                return output_path
            return (22050, wav.T)
        given = (spk_audio_prompt, text, output_path, lang, *emotion, interval_silence, verbose,
                 max_text_tokens_per_segment, stream_return, more_segment_before)  # fmt: skip
        if stream_return:
            return self.infer_generator(*given, **rest)
        try:
            results = list(self.infer_generator(*given, **rest))
            return results[0]
        except IndexError:
            return None

    def infer_generator(self, spk_audio_prompt, text, output_path, lang, emo_audio_prompt=None, emo_alpha=1.0,
                        emo_vector=None, use_emo_text=False, emo_text=None, use_random=False, interval_silence=200,
                        verbose=False, max_text_tokens_per_segment=120, stream_return=False,
                        quick_streaming_tokens=0, duration_factor=1.0, text_normalization=True,
                        **generation_kwargs):  # fmt: skip
        print(">> starting inference...")
        max_mel_tokens = generation_kwargs.pop("max_mel_tokens", 1500)
        self._set_gr_progress(0, "starting inference...")
        if use_emo_text or emo_vector is not None:
            emo_audio_prompt = None
        if use_emo_text:
            if self.qwen_emo is None:
                raise RuntimeError("use_emo_text=True requires QwenEmotion, but it was not loaded at init")
            emo_vector = list(self.qwen_emo.inference(text if emo_text is None else emo_text).values())
        if emo_audio_prompt is None:
            emo_audio_prompt, emo_alpha = spk_audio_prompt, 1.0
        if self.cache_spk_cond is None or self.cache_spk_audio_prompt != spk_audio_prompt:
            self.cache_spk_cond = self.get_emb(load(spk_audio_prompt)[0], None)
            self.cache_spk_audio_prompt = spk_audio_prompt
        if self.cache_emo_cond is None or self.cache_emo_audio_prompt != emo_audio_prompt:
            self.cache_emo_cond = self.get_emb(load(emo_audio_prompt)[0], None)
            self.cache_emo_audio_prompt = emo_audio_prompt
        spk_cond_emb, emo_cond_emb = self.cache_spk_cond, self.cache_emo_cond

        self._set_gr_progress(0.1, "text processing...")
        if text_normalization:
            text = self.text_process.normalize(text)
            print(f"text after normalization: {text}")
        segments = self.split_text_by_tokens(text, max_text_tokens_per_segment, f"<|{lang.lower()}|> ")
        lang_id = LANGUAGES[lang.lower()]
        wavs = []
        for index, sentence in enumerate(segments):
            self._set_gr_progress(0.2 + 0.7 * index / len(segments), f"speech synthesis {index + 1}/{len(segments)}...")
            tokens = np.array([[ord(character) % 50 for character in sentence]])
            emovec = self.gpt.merge_emovec(spk_cond_emb, emo_cond_emb, None, None, alpha=emo_alpha)
            if emo_vector is not None:
                emovec = emovec + sum(emo_vector)
            codes, _ = self.gpt.inference_speech(
                spk_cond_emb,
                tokens,
                lang_id,
                emo_cond_emb,
                emo_vec=emovec,
                max_generate_length=max_mel_tokens,
                **generation_kwargs,
            )
            if codes[:, -1].any():
                codes = codes[:, : codes.shape[1]]
            states = self.semantic_codec.decode(codes)
            frames = states.shape[1] * 1.72 * duration_factor
            cond = self.s2mel.models["length_regulator"](states, ylens=frames)[0]
            mel = self.s2mel.models["cfm"].inference(cond, None, None, spk_cond_emb, None, 5, inference_cfg_rate=0.7)
            wav = np.clip(32767 * self.bigvgan(mel), -32767.0, 32767.0)
            wavs.append(wav)
            if stream_return:
                yield wav
                yield np.zeros((1, int(22050 * interval_silence / 1000.0)), np.float32)
        self._set_gr_progress(0.9, "saving audio...")
        wav = np.concatenate(self.insert_interval_silence(wavs, interval_silence=interval_silence), axis=1)
        if output_path:
            if os.path.dirname(output_path) != "":
                os.makedirs(os.path.dirname(output_path), exist_ok=True)
            save_pcm_wav(output_path, wav, 22050)
            print(">> wav file saved to:", output_path)
            if stream_return:
                return
            yield output_path
        else:
            if stream_return:
                return
            yield (22050, wav.astype(np.int16).T)


class QwenEmotion:
    def inference(self, text_input):
        return {"happy": (len(text_input) % 7) / 10, "calm": 0.1}

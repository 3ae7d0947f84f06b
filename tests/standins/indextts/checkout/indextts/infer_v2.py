# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 2: the order of calls and marks is upstream's, what is computed is not."""

from __future__ import annotations

import os

import numpy as np

from indextts.gpt.model_v2 import UnifiedVoice
from indextts.parts import embedding, load
from indextts.s2mel.modules.bigvgan import bigvgan
from indextts.s2mel.modules.commons import MyModel
from indextts.utils.common import save_pcm_wav
from indextts.utils.front import TextNormalizer, TextTokenizer


class IndexTTS2:
    def __init__(self, cfg_path="checkpoints/config.yaml", model_dir="checkpoints", use_fp16=False, device=None,
                 use_qwen_emo=True):  # fmt: skip
        self.device = device or "cpu"
        self.gpt, self.s2mel, self.bigvgan = UnifiedVoice(), MyModel(), bigvgan.BigVGAN()
        self.tokenizer = TextTokenizer(TextNormalizer())
        self.qwen_emo = QwenEmotion(model_dir) if use_qwen_emo else None
        self.cache_spk_cond = self.cache_spk_audio_prompt = None
        self.cache_emo_cond = self.cache_emo_audio_prompt = None
        self.gr_progress = None

    def _set_gr_progress(self, value, desc):
        if self.gr_progress is not None:
            self.gr_progress(value, desc=desc)

    def get_emb(self, input_features, attention_mask):
        return embedding(input_features)

    def _load_and_cut_audio(self, audio_path, max_audio_length_seconds, verbose=False, sr=None):
        sound, rate = load(audio_path)
        return sound[:, : max_audio_length_seconds * rate], rate

    def interval_silence(self, wavs, sampling_rate=22050, interval_silence=200):
        return np.zeros((1, int(sampling_rate * interval_silence / 1000.0)), np.float32)

    def insert_interval_silence(self, wavs, sampling_rate=22050, interval_silence=200):
        if not wavs or interval_silence <= 0:
            return wavs
        silence = self.interval_silence(wavs, sampling_rate, interval_silence)
        parts = [part for wav in wavs for part in (wav, silence)]
        return parts[:-1]

    def infer(self, spk_audio_prompt, text, output_path, emo_audio_prompt=None, emo_alpha=1.0, emo_vector=None,
              use_emo_text=False, emo_text=None, use_random=False, interval_silence=200, verbose=False,
              max_text_tokens_per_segment=120, stream_return=False, more_segment_before=0,
              **generation_kwargs):  # fmt: skip
        given = (spk_audio_prompt, text, output_path, emo_audio_prompt, emo_alpha, emo_vector, use_emo_text, emo_text,
                 use_random, interval_silence, verbose, max_text_tokens_per_segment, stream_return,
                 more_segment_before)  # fmt: skip
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
        print(">> starting inference...")
        max_mel_tokens = generation_kwargs.pop("max_mel_tokens", 1500)
        self._set_gr_progress(0, "starting inference...")
        if verbose:
            print(f"origin text:{text}, spk_audio_prompt:{spk_audio_prompt}, emo_text:{emo_text}")
        if use_emo_text or emo_vector is not None:
            emo_audio_prompt = None
        if use_emo_text:
            if self.qwen_emo is None:
                raise RuntimeError("use_emo_text=True requires QwenEmotion, but it was not loaded at init")
            emo_vector = list(self.qwen_emo.inference(text if emo_text is None else emo_text).values())
        if emo_audio_prompt is None:
            emo_audio_prompt, emo_alpha = spk_audio_prompt, 1.0

        if self.cache_spk_cond is None or self.cache_spk_audio_prompt != spk_audio_prompt:
            audio, _ = self._load_and_cut_audio(spk_audio_prompt, 15, verbose)
            self.cache_spk_cond = self.get_emb(audio, None)
            self.s2mel.models["length_regulator"](self.cache_spk_cond, ylens=10)
            self.cache_spk_audio_prompt = spk_audio_prompt
        spk_cond_emb = self.cache_spk_cond
        if self.cache_emo_cond is None or self.cache_emo_audio_prompt != emo_audio_prompt:
            audio, _ = self._load_and_cut_audio(emo_audio_prompt, 15, verbose, sr=16000)
            self.cache_emo_cond = self.get_emb(audio, None)
            self.cache_emo_audio_prompt = emo_audio_prompt
        emo_cond_emb = self.cache_emo_cond

        self._set_gr_progress(0.1, "text processing...")
        tokens = self.tokenizer.tokenize(text)
        segments = self.tokenizer.split_segments(
            tokens, max_text_tokens_per_segment, quick_streaming_tokens=quick_streaming_tokens
        )
        print("     Tokens which can't be encoded: ", [token for token in tokens if not token.isascii()])
        wavs, silence = [], None
        for index, sentence in enumerate(segments):
            self._set_gr_progress(0.2 + 0.7 * index / len(segments), f"speech synthesis {index + 1}/{len(segments)}...")
            text_tokens = np.array([self.tokenizer.convert_tokens_to_ids(sentence)])
            emovec = self.gpt.merge_emovec(spk_cond_emb, emo_cond_emb, None, None, alpha=emo_alpha)
            if emo_vector is not None:
                emovec = emovec + sum(emo_vector)
            codes, latent = self.gpt.inference_speech(
                spk_cond_emb,
                text_tokens,
                emo_cond_emb,
                emo_vec=emovec,
                max_generate_length=max_mel_tokens,
                **generation_kwargs,
            )
            if codes[:, -1].any():
                codes = codes[:, : codes.shape[1]]
            latent = self.gpt(latent, text_tokens, None, codes, None, emo_cond_emb, emo_vec=emovec)
            latent = self.s2mel.models["gpt_layer"](latent)
            cond = self.s2mel.models["length_regulator"](latent, ylens=codes.shape[1] * 1.72)[0]
            mel = self.s2mel.models["cfm"].inference(cond, None, None, spk_cond_emb, None, 5, inference_cfg_rate=0.7)
            wav = self.bigvgan(mel)
            wav = np.clip(32767 * wav, -32767.0, 32767.0)
            wavs.append(wav)
            if stream_return:
                yield wav
                if silence is None:
                    silence = self.interval_silence(wavs, interval_silence=interval_silence)
                yield silence
        self._set_gr_progress(0.9, "saving audio...")
        wavs = self.insert_interval_silence(wavs, interval_silence=interval_silence)
        wav = np.concatenate(wavs, axis=1)
        print(f">> Generated audio length: {wav.shape[-1] / 22050:.2f} seconds")
        if output_path:
            if os.path.isfile(output_path):
                os.remove(output_path)
                print(">> remove old wav file:", output_path)
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
    def __init__(self, model_dir):
        self.model_dir = model_dir

    def inference(self, text_input):
        return {"happy": (len(text_input) % 7) / 10, "calm": 0.1}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""index-tts-vllm, version 2: the order of calls is its own, what is computed is not."""

from __future__ import annotations

import numpy as np
import soundfile
from vllm.v1.engine.async_llm import AsyncLLM

from indextts.gpt.model_vllm_v2 import UnifiedVoice
from indextts.parts import embedding, load
from indextts.s2mel.modules.bigvgan import bigvgan
from indextts.s2mel.modules.commons import MyModel
from indextts.utils.front import TextNormalizer, TextTokenizer


class IndexTTS2:
    def __init__(self, model_dir="checkpoints", is_fp16=False, device=None):
        self.device = device or "cpu"
        self.gpt, self.s2mel, self.bigvgan = UnifiedVoice(AsyncLLM()), MyModel(), bigvgan.BigVGAN()
        self.tokenizer = TextTokenizer(TextNormalizer())
        self.qwen_emo = QwenEmotion(model_dir)

    def get_emb(self, input_features, attention_mask):
        return embedding(input_features)

    def precompute_speaker(self, spk_audio_prompt):
        return {"spk_cond_emb": self.get_emb(load(spk_audio_prompt)[0], None)}

    def precompute_emotion(self, emo_audio_prompt):
        return {"emo_cond_emb": self.get_emb(load(emo_audio_prompt)[0], None)}

    async def infer(self, spk_audio_prompt, text, output_path, emo_audio_prompt=None, emo_alpha=1.0, emo_vector=None,
                    use_emo_text=False, emo_text=None, use_random=False, interval_silence=200, verbose=False,
                    max_text_tokens_per_sentence=120, spk_cache=None, emo_cache=None,
                    **generation_kwargs):  # fmt: skip
        if use_emo_text:
            emo_dict, _ = await self.qwen_emo.inference(emo_text or text)
            emo_vector = list(emo_dict.values())
        if emo_vector is not None or emo_audio_prompt is None:
            emo_audio_prompt, emo_alpha = spk_audio_prompt, 1.0
        spk_cond_emb = (spk_cache or self.precompute_speaker(spk_audio_prompt))["spk_cond_emb"]
        emo_cond_emb = (emo_cache or self.precompute_emotion(emo_audio_prompt))["emo_cond_emb"]
        tokens = self.tokenizer.tokenize(text)
        wavs = []
        for sentence in self.tokenizer.split_sentences(tokens, max_text_tokens_per_sentence):
            row = np.array([self.tokenizer.convert_tokens_to_ids(sentence)])
            emovec = self.gpt.merge_emovec(spk_cond_emb, emo_cond_emb, None, None, alpha=emo_alpha)
            emovec = emovec + sum(emo_vector or [0])
            codes, latent = await self.gpt.inference_speech(spk_cond_emb, row, emo_cond_emb, emo_vec=emovec)
            latent = self.s2mel.models["gpt_layer"](self.gpt(latent, row, None, codes, None, emo_cond_emb))
            cond = self.s2mel.models["length_regulator"](latent, ylens=codes.shape[1] * 1.72)[0]
            mel = self.s2mel.models["cfm"].inference(cond, None, None, spk_cond_emb, None, 25, inference_cfg_rate=0.7)
            wavs.append(np.clip(32767 * self.bigvgan(mel), -32767.0, 32767.0))
        wav = np.concatenate(wavs, axis=1).astype(np.int16)
        if output_path:
            soundfile.write(output_path, wav.T, 22050, "PCM_16", format="WAV")
            return output_path
        return 22050, wav.T


class QwenEmotion:
    def __init__(self, model_dir):
        self.model = AsyncLLM()

    async def inference(self, text_input):
        return {"happy": 0.5, "sad": 0.1}, "content"

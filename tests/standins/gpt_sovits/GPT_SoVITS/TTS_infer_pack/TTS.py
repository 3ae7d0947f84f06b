# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""GPT-SoVITS' pipeline: modes, order of calls, what is yielded and when an exception comes out are upstream's."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
from AR.models.t2s_model import Text2SemanticDecoder
from module.models import SynthesizerTrn
from sv import SV

from TTS_infer_pack.TextPreprocessor import TextPreprocessor


class TTS:
    def __init__(self, version="v2"):
        self.configs = SimpleNamespace(
            version=version, device="cpu", sampling_rate=32000, use_vocoder=False, hz=50, max_sec=54
        )
        self.prompt_cache = {"ref_audio_path": None, "prompt_semantic": None, "refer_spec": []}
        self.text_preprocessor, self.sv_model = TextPreprocessor(), SV()
        self.is_v2pro = version == "v2Pro"
        self.emptied = 0
        self.init_t2s_weights("t2s.ckpt")
        self.init_vits_weights("vits.pth")

    def init_t2s_weights(self, weights_path):
        self.t2s_model = SimpleNamespace(model=Text2SemanticDecoder())

    def init_vits_weights(self, weights_path):
        self.vits_model = SynthesizerTrn()

    def set_ref_audio(self, ref_audio_path):
        self._set_prompt_semantic(ref_audio_path)
        self.prompt_cache["refer_spec"] = [self._get_ref_spec(ref_audio_path)]
        self.prompt_cache["ref_audio_path"] = ref_audio_path

    def _get_ref_spec(self, ref_audio_path):
        return np.ones((1, 8, 4)), np.ones(4)

    def _set_prompt_semantic(self, ref_wav_path):
        self.prompt_cache["prompt_semantic"] = np.ones(4)

    def to_batch(self, data, batch_size=1):
        items = [data[i : i + batch_size] for i in range(0, len(data), batch_size)]
        return [{"phones": [part["phones"] for part in item]} for item in items]

    def using_vocoder_synthesis(self, semantic_tokens, phones, speed=1.0, sample_steps=32):
        return self.vits_model._wave(semantic_tokens)

    def using_vocoder_synthesis_batched_infer(self, idx_list, semantic_tokens_list, batch_phones, speed=1.0):
        return [self.using_vocoder_synthesis(tokens, None) for tokens in semantic_tokens_list]

    def run(self, inputs: dict):
        text = inputs.get("text", "")
        ref_audio_path = inputs.get("ref_audio_path", "")
        parallel_infer = inputs.get("parallel_infer", True)
        streaming_mode, return_fragment = inputs.get("streaming_mode", False), inputs.get("return_fragment", False)
        batch_size = inputs.get("batch_size", 1)
        model = self.t2s_model.model
        early = int(self.configs.hz * self.configs.max_sec)
        if parallel_infer and not streaming_mode:
            model.infer_panel = model.infer_panel_batch_infer
        elif streaming_mode:
            model.infer_panel = model.infer_panel_naive
        else:
            model.infer_panel = model.infer_panel_naive_batched
        if ref_audio_path in (None, "") and self.prompt_cache["prompt_semantic"] is None:
            raise ValueError("ref_audio_path cannot be empty, when the reference audio is not set")
        if ref_audio_path and ref_audio_path != self.prompt_cache["ref_audio_path"]:
            if not os.path.exists(ref_audio_path):
                raise ValueError(f"{ref_audio_path} not exists")
            self.set_ref_audio(ref_audio_path)
        if not (return_fragment or streaming_mode):
            data = self.text_preprocessor.preprocess(text, inputs.get("text_lang", ""), "cut1")
            if not data:
                yield 16000, np.zeros(16000, np.int16)
                return
            data = self.to_batch(data, batch_size)
        else:
            data = self.text_preprocessor.pre_seg_text(text, inputs.get("text_lang", ""), "cut1")
        try:
            audio = []
            for item in data:
                if return_fragment or streaming_mode:
                    phones, _bert, text = self.text_preprocessor.segment_and_extract_feature_for_text(item, "en")
                    item = self.to_batch([{"phones": phones}])[0]
                phones = item["phones"]
                prompt = None if inputs.get("prompt_text") in (None, "") else np.ones((len(phones), 4))
                if self.is_v2pro:
                    self.sv_model.compute_embedding3(np.ones(4))
                if streaming_mode:
                    tokens = model.infer_panel(
                        np.asarray(phones[0])[None], None, prompt, None, early_stop_num=early, streaming_mode=True
                    )
                    for semantic_tokens, _ in tokens:
                        wave, _, _ = self.vits_model.decode_streaming(semantic_tokens[0], phones[0], None)
                        yield self.audio_postprocess([[wave[0, 0]]], self.configs.sampling_rate)
                    yield self.configs.sampling_rate, np.zeros(320, np.int16)
                    continue
                rows, ends = model.infer_panel(
                    phones, [len(part) for part in phones], prompt, None, early_stop_num=early
                )
                found = [row[-end:] for row, end in zip(rows, ends, strict=True)]
                if self.configs.use_vocoder:
                    waves = self.using_vocoder_synthesis_batched_infer(None, found, phones)
                else:
                    waves = [self.vits_model.decode(np.concatenate(found), phones[0], None)]
                fragment = [wave[0, 0] for wave in waves]
                if return_fragment:
                    yield self.audio_postprocess([fragment], self.configs.sampling_rate)
                else:
                    audio.append(fragment)
            if not (return_fragment or streaming_mode):
                yield self.audio_postprocess(audio, self.configs.sampling_rate)
        except Exception as error:
            yield 16000, np.zeros(16000, np.int16)
            self.init_t2s_weights("t2s.ckpt")
            self.init_vits_weights("vits.pth")
            raise error
        finally:
            self.empty_cache()

    def empty_cache(self):
        self.emptied += 1

    def audio_postprocess(self, audio, sr, batch_index_list=None, speed_factor=1.0):
        return sr, (np.concatenate([part for batch in audio for part in batch]) * 32767).astype(np.int16)

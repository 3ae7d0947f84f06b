# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Generator

import numpy as np


class CosyVoiceFrontEnd:
    def __init__(self):
        self.spk2info = {"anna": {"embedding": np.ones((1, 192))}}

    def text_normalize(self, text, split=True, text_frontend=True):
        if isinstance(text, Generator):
            return [text]
        return [part.strip() for part in text.split(".") if part.strip()] if split else text

    def _extract_text_token(self, text):
        if isinstance(text, Generator):
            return self._extract_text_token_generator(text), 0
        return np.frombuffer(text.encode(), np.uint8)[None], len(text)

    def _extract_text_token_generator(self, text_generator):
        for text in text_generator:
            tokens, _ = self._extract_text_token(text)
            for i in range(tokens.shape[1]):
                yield tokens[:, i : i + 1]

    def _extract_speech_token(self, prompt_wav):
        return np.ones((1, 4))

    def _extract_spk_embedding(self, prompt_wav):
        return np.ones((1, 192))

    def _extract_speech_feat(self, prompt_wav):
        return np.ones((1, 8, 80))

    def frontend_sft(self, tts_text, spk_id):
        tokens, _ = self._extract_text_token(tts_text)
        return {"text": tokens, "flow_embedding": self.spk2info[spk_id]["embedding"]}

    def frontend_zero_shot(self, tts_text, prompt_text, prompt_wav, resample_rate, zero_shot_spk_id):
        tokens, _ = self._extract_text_token(tts_text)
        if zero_shot_spk_id == "":
            self._extract_text_token(prompt_text)
            self._extract_speech_feat(prompt_wav)
            self._extract_speech_token(prompt_wav)
            model_input = {"flow_embedding": self._extract_spk_embedding(prompt_wav)}
        else:
            model_input = {"flow_embedding": self.spk2info[zero_shot_spk_id]["embedding"]}
        return {**model_input, "text": tokens}

    def frontend_vc(self, source_wav, prompt_wav, resample_rate):
        self._extract_speech_token(prompt_wav)
        self._extract_speech_feat(prompt_wav)
        embedding = self._extract_spk_embedding(prompt_wav)
        return {"source_speech_token": self._extract_speech_token(source_wav), "flow_embedding": embedding}

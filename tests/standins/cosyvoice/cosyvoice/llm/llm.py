# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Generators of tokens: they end by a token that is not handed out, or at twenty for each of the text's."""

from __future__ import annotations


class TransformerLM:
    stops = True

    def inference(self, text, text_len, prompt_text, prompt_text_len, prompt_speech_token, prompt_speech_token_len,
                  embedding, sampling=25, max_token_text_ratio=20, min_token_text_ratio=2, uuid=""):  # fmt: skip
        count = text.shape[1]
        for step in range(int(count * max_token_text_ratio)):
            if self.stops and step == count:
                break
            yield int(text[0, step % count])


class Qwen2LM(TransformerLM):
    def inference(self, text, text_len, prompt_text, prompt_text_len, prompt_speech_token, prompt_speech_token_len,
                  embedding, sampling=25, max_token_text_ratio=20, min_token_text_ratio=2, uuid=""):  # fmt: skip
        count = text.shape[1]
        for step in range(int(count * max_token_text_ratio)):
            if self.stops and step == count:
                break
            yield int(text[0, step % count])

    def inference_bistream(self, text, prompt_text, prompt_text_len, prompt_speech_token, prompt_speech_token_len,
                           embedding, sampling=25, max_token_text_ratio=20, min_token_text_ratio=2):  # fmt: skip
        for part in text:
            yield int(part[0, 0])


class CosyVoice3LM(Qwen2LM):
    pass

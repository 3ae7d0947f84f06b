# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re


class TextNormalizer:
    def normalize(self, text):
        return " ".join(text.split())


class TextTokenizer:
    def __init__(self, normalizer):
        self.normalizer = normalizer

    def tokenize(self, text):
        return self.encode(text)

    def encode(self, text):
        return re.findall(r"\w+|[^\w\s]", self.normalizer.normalize(text))

    def convert_tokens_to_ids(self, tokens):
        return [len(token) for token in tokens]

    def split_segments(self, tokenized, max_text_tokens_per_segment=120, quick_streaming_tokens=0):
        segments = [[]]
        for token in tokenized:
            segments[-1].append(token)
            if token in ".!?。" or len(segments[-1]) >= max_text_tokens_per_segment:
                segments.append([])
        return [segment for segment in segments if segment]

    def split_sentences(self, tokenized, max_text_tokens_per_sentence=120):
        """Its name in index-tts-vllm, and upstream before 2025-06."""
        return self.split_segments(tokenized, max_text_tokens_per_sentence)

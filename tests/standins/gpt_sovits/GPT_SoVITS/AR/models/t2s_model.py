# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np


class Text2SemanticDecoder:
    fail = None

    def infer_panel_batch_infer(self, x, x_lens, prompts, bert_feature, top_k=-100, **kwargs):
        if prompts is None:
            return self.infer_panel_naive_batched(x, x_lens, prompts, bert_feature, top_k=top_k, **kwargs)
        return [self._tokens(part) for part in x], [len(part) for part in x]

    def infer_panel_naive_batched(self, x, x_lens, prompts, bert_feature, top_k=-100, **kwargs):
        found = [
            next(self.infer_panel_naive(part, x_lens[i], prompts, bert_feature, top_k, **kwargs))
            for i, part in enumerate(x)
        ]
        return [tokens for tokens, _ in found], [count for _, count in found]

    def infer_panel_naive(self, x, x_lens, prompts, bert_feature, top_k=-100, streaming_mode=False, chunk_length=2,
                          **kwargs):  # fmt: skip
        tokens = self._tokens(np.asarray(x).reshape(-1))
        if streaming_mode:
            for i in range(0, len(tokens), chunk_length):
                yield tokens[i : i + chunk_length], i + chunk_length >= len(tokens)
        else:
            yield tokens, len(tokens)

    def infer_panel(self, x, x_lens, prompts, bert_feature, **kwargs):
        return next(self.infer_panel_naive(x, x_lens, prompts, bert_feature, **kwargs))

    def _tokens(self, phones):
        if self.fail is not None:
            raise self.fail
        return np.asarray(phones, np.float32) / 256

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np


class Text2SemanticDecoder:
    fail = None

    def infer_panel_batch_infer(self, x, x_lens, prompts, bert_feature, top_k=-100, top_p=100, early_stop_num=-1,
                                **kwargs):  # fmt: skip
        """Rows of prompt and tokens without the last one, and the step, from 0 on, in which each has ended."""
        if prompts is None:
            return self.infer_panel_naive_batched(
                x, x_lens, prompts, bert_feature, top_k=top_k, top_p=top_p, early_stop_num=early_stop_num, **kwargs
            )
        found = [self._tokens(part, early_stop_num) for part in x]
        found = [made if len(made) == len(part) else made[:-1] for made, part in zip(found, x, strict=True)]
        return [np.append(prompts[0], tokens) for tokens in found], [len(tokens) for tokens in found]

    def infer_panel_naive_batched(self, x, x_lens, prompts, bert_feature, top_k=-100, top_p=100, early_stop_num=-1,
                                  **kwargs):  # fmt: skip
        found = [
            next(self.infer_panel_naive(part[None], x_lens[i], prompts[i][None] if prompts is not None else None,
                                        bert_feature, top_k, top_p, early_stop_num, **kwargs))
            for i, part in enumerate(np.asarray(one) for one in x)
        ]  # fmt: skip
        return [row[0] for row, _ in found], [count for _, count in found]

    def infer_panel_naive(self, x, x_lens, prompts, bert_feature, top_k=-100, top_p=100, early_stop_num=-1,
                          streaming_mode=False, chunk_length=2, **kwargs):  # fmt: skip
        tokens = self._tokens(np.asarray(x).reshape(-1), early_stop_num)
        if streaming_mode:
            for i in range(0, len(tokens), chunk_length):
                yield tokens[i : i + chunk_length][None], i + chunk_length >= len(tokens)
        elif prompts is None:
            yield tokens[None], 0
        else:
            yield np.append(prompts[0], tokens)[None], len(tokens)

    def infer_panel(self, x, x_lens, prompts, bert_feature, **kwargs):
        return next(self.infer_panel_naive(x, x_lens, prompts, bert_feature, **kwargs))

    def _tokens(self, phones, early_stop_num):
        if self.fail is not None:
            raise self.fail
        most = 1500 if early_stop_num == -1 else min(1500, early_stop_num + 1)
        return np.asarray(phones, np.float32)[:most] / 256

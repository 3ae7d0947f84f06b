# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np


def fast_generate(talker, talker_input_embeds, max_new_tokens=2048, talker_graph=None):
    steps = steps_of(talker_input_embeds, max_new_tokens, talker_graph)
    return np.zeros((steps, 16), np.int64), {"steps": steps, "prefill_ms": 1.0, "decode_s": 0.1}


def steps_of(embeds, max_new_tokens, graph):
    """Two frames for each character: the end, the limit, or a cache that is full."""
    room = graph.max_seq_len - embeds.shape[1] if graph is not None else max_new_tokens
    return min(2 * embeds.shape[1], max_new_tokens, room)

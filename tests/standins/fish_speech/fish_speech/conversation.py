# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np


class Conversation:
    def __init__(self, messages=None):
        self.messages = messages or []

    def append(self, message):
        self.messages.append(message)

    def encode_for_inference(self, tokenizer, num_codebooks):
        return np.zeros((num_codebooks + 1, sum(map(len, self.messages))), np.int64), None, None

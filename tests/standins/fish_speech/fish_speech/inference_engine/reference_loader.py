# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hashlib import sha256

import numpy as np


class ReferenceLoader:
    def __init__(self):
        self.ref_by_id, self.ref_by_hash = {}, {}

    def load_by_id(self, id, use_cache):
        if use_cache == "off" or id not in self.ref_by_id:
            tokens = [self.encode_reference(reference_audio=b"RIFF", enable_reference_audio=True)]
            self.ref_by_id[id] = tokens, ["what was said"]
        return self.ref_by_id[id]

    def load_by_hash(self, references, use_cache):
        prompt_tokens, prompt_texts = [], []
        for ref in references:
            key = sha256(ref.audio).hexdigest()
            if use_cache == "off" or key not in self.ref_by_hash:
                tokens = self.encode_reference(reference_audio=ref.audio, enable_reference_audio=True)
                self.ref_by_hash[key] = tokens, ref.text
            tokens, text = self.ref_by_hash[key]
            prompt_tokens.append(tokens)
            prompt_texts.append(text)
        return prompt_tokens, prompt_texts

    def load_audio(self, reference_audio, sr):
        return np.zeros(sr, np.float32)

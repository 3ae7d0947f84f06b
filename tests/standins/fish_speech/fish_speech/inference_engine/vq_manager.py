# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np


class VQManager:
    def decode_vq_tokens(self, codes):
        return self.decoder_model.from_indices(codes[None])

    def encode_reference(self, reference_audio, enable_reference_audio):
        if enable_reference_audio and reference_audio is not None:
            content = self.load_audio(reference_audio, self.decoder_model.sample_rate)
            return self.decoder_model.encode(content[None, None, :], np.array([content.size]))[0][0]
        return None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from indextts.parts import Module


class EnhancedCodec(Module):
    def decode(self, codes):
        return np.asarray(codes, np.float32)[:, :, None]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from indextts.parts import Module, wave


class BigVGAN(Module):
    def forward(self, x):
        return wave(x, x.shape[-1] * 256)

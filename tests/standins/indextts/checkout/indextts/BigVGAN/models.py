# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from indextts.parts import Module, wave


class BigVGAN(Module):
    """v1's: latents and the reference's mel to the waveform, and a loss that nobody looks at."""

    def forward(self, x, mel_ref, lens=None):
        return wave(x + mel_ref.sum(), x.shape[1] * 512)[None, :, :], None

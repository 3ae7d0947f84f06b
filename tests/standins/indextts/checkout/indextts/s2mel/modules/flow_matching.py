# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from indextts.parts import Module


class BASECFM(Module):
    def inference(self, mu, x_lens, prompt, style, f0, n_timesteps, temperature=1.0, inference_cfg_rate=0.5):
        x = mu
        for _ in range(n_timesteps):
            x = self.estimator(x, style)
        return x


class CFM(BASECFM):
    def __init__(self):
        self.estimator = lambda x, style: x * 0.99 + style.sum() * 1e-3

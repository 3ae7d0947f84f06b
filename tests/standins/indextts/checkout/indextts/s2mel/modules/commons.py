# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from indextts.s2mel.modules.flow_matching import CFM


class MyModel:
    def __init__(self):
        self.models = {"cfm": CFM(), "length_regulator": _regulate, "gpt_layer": lambda latent: latent * 0.5}


def _regulate(x, ylens=None, n_quantizers=None, f0=None):
    return (np.resize(x, (1, 80, int(ylens))),)

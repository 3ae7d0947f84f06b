# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the stand-in's models are made of: arithmetic on numpy arrays, the same for the same input."""

from __future__ import annotations

from typing import Any

import numpy as np
import soundfile


class Module:
    """Called as torch's are: ``module(x)`` runs ``forward``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)


def load(path: str) -> tuple[Any, int]:
    """The recording's mean channel, [1, n], and its rate."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return sound.mean(axis=1)[None, :], rate


def embedding(sound: Any) -> Any:
    return np.array([[float(np.abs(sound).mean()), float(sound.shape[1] % 97)]], np.float32)


def wave(seed: Any, size: int) -> Any:
    """A quiet sound, [1, size], from whatever numbers are given."""
    pitch = 0.02 + (abs(float(np.sum(seed))) % 1.0) / 20
    return (0.3 * np.sin(np.arange(size, dtype=np.float32) * pitch))[None, :]

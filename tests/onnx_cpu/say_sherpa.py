# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks with sherpa-onnx, whole and piece by piece; audio goes to the folder OUT, what is to be seen to stdout."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import sherpa_onnx
from opentelemetry import trace
from piper.phonemize_espeak import EspeakPhonemizer

TEXT = "Quincebread at dawnfall. Whispers the brook."


def load(folder: Path) -> sherpa_onnx.OfflineTts:
    voice = sherpa_onnx.OfflineTtsVitsModelConfig(
        model=str(folder / "joe.onnx"), tokens=str(folder / "tokens.txt"), noise_scale=0, noise_scale_w=0
    )
    model = sherpa_onnx.OfflineTtsModelConfig(vits=voice, num_threads=1, provider="cpu")
    return sherpa_onnx.OfflineTts(sherpa_onnx.OfflineTtsConfig(model=model, max_num_sentences=1))


def prepared(text: str) -> sherpa_onnx.GenerationConfig:
    """It has no text frontend of its own any more: the phonemes come from outside."""
    config = sherpa_onnx.GenerationConfig()
    sentences = EspeakPhonemizer().phonemize("en-us", text)
    config.phoneme_codepoints = [[ord(c) for phoneme in sentence for c in phoneme] for sentence in sentences]
    return config


class Pieces:
    """A callback that keeps what it is given; `answers` are its answers, the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.pieces, self.seen = list(answers), [], []

    def __call__(self, samples: np.ndarray, progress: float) -> Any:
        self.pieces.append(samples.copy())
        inside = trace.get_current_span().get_span_context().is_valid
        self.seen.append([samples.dtype.name, progress, threading.current_thread().name, inside])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def main(folder: Path, out: Path) -> None:
    tts, config = load(folder), prepared(TEXT)
    whole = tts.generate(TEXT, config)
    np.save(out / "whole.npy", np.array(whole.samples, np.float32))
    pieces = Pieces(1)
    streamed = tts.generate(TEXT, config, pieces)
    np.save(out / "streamed.npy", np.array(streamed.samples, np.float32))
    np.save(out / "pieces.npy", np.concatenate(pieces.pieces))
    stopped, last, broken = Pieces(0), Pieces(1, 0), Pieces(KeyError("quincebread"))
    early = tts.generate(text=TEXT, config=config, callback=stopped)
    np.save(out / "early.npy", np.array(early.samples, np.float32))
    complete = tts.generate(TEXT, callback=last, config=config)
    errors = []
    for arguments in ((TEXT, config, broken), (TEXT, "quincebread"), (TEXT, config, Pieces(None))):
        try:
            tts.generate(*arguments)
        except Exception as error:
            errors.append(type(error).__name__)
    nothing = [len(tts.generate(text, sid=0, speed=1.0).samples) for text in ("", "مرحبا", "\x00\x07")]
    seen = {
        "rate": whole.sample_rate, "pieces": pieces.seen, "stopped": stopped.seen, "last": last.seen,
        "complete": len(complete.samples), "errors": errors, "nothing": nothing, "type": type(whole).__name__,
    }  # fmt: skip
    print(json.dumps(seen))


main(Path(sys.argv[1]), Path(sys.argv[2]))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a service may do to IndexTTS-2.5: ``small_indextts.py CHECKPOINT REFERENCE OUT``, one part after the other.

The requests come in the order of PARTS, which the tests count on. What raises is noted by its class.
"""

from __future__ import annotations

import inspect
import json
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from indextts25 import IndexTTS25

TEXT = "Quincebread at dawnfall. Purpleotter whispers."
FEW = {"max_mel_tokens": 8, "num_beams": 1, "diffusion_steps": 2, "lang": "fr"}
TEXTS = {
    "empty": "",
    "emoji": "😀😀👩‍👩‍👧",
    "right to left": "שלום עולם. مرحبا",
    "control": "a\x00b\x07 \x1b[31mc.\u202e",
    "long": "mot. " * 2_000,
}


class Outcomes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raised: dict[str, str | None] = {}

    def keep(self, name: str, speak: Callable[[], Any]) -> None:
        torch.manual_seed(1)
        try:
            samples = np.asarray(speak())
        except Exception as error:
            self.raised[name] = type(error).__name__
        else:
            self.raised[name] = None
            np.save(self.folder / f"{name}.npy", samples)


def recordings(folder: Path) -> dict[str, str]:
    """References that people hand over."""
    paths = {name: str(folder / f"purpleotter {name}") for name in ("missing", "no audio", "8 bit", "stereo", "hour")}
    tone = 0.1 * np.sin(np.arange(96000) * 0.06)
    Path(paths["no audio"]).write_bytes(b"quincebread" * 999)
    soundfile.write(paths["8 bit"], tone[:16000], 8000, "PCM_U8", format="WAV")
    soundfile.write(paths["stereo"], np.stack([tone, tone], 1), 96000, "PCM_24", format="WAV")
    soundfile.write(paths["hour"], np.tile((tone[:8000] * 32767).astype(np.int16), 3600), 8000, format="WAV")
    return paths


def main(checkpoint: str, reference: str, out: Path) -> None:
    warnings.simplefilter("ignore")  # each segment ends at max_mel_tokens, and is told so
    api = IndexTTS25(model_dir=checkpoint, device="cpu")
    tts, outcomes = api._tts, Outcomes(out)
    voices = recordings(out)

    def infer(voice: str = reference, text: str = TEXT, **options: Any) -> Any:
        return tts.infer(voice, text, None, **{**FEW, **options})[1]

    def joined(stream: Any) -> Any:
        assert inspect.isgenerator(stream)
        return np.concatenate([np.asarray(getattr(item, "audio", item)).reshape(-1) for item in stream])

    for name, voice in voices.items():
        outcomes.keep(name, lambda voice=voice: infer(voice))
    outcomes.keep("emotion", lambda: infer(emo_audio_prompt=voices["8 bit"], emo_alpha=0.5))
    outcomes.keep("vector", lambda: infer(emo_vector=[0.1] * 8))
    outcomes.keep("generator", lambda: joined(tts.infer_generator(reference, TEXT, None, stream_return=True, **FEW)))
    outcomes.keep("no codes", lambda: infer(max_mel_tokens=0))
    for name, text in TEXTS.items():
        if name == "long":
            outcomes.keep(name, lambda text=text: next(api.stream(text, voice=reference, **FEW)).audio)
        else:
            outcomes.keep(name, lambda text=text: api.synthesize(text, reference, out / "text.wav", **FEW) and [])
    barrier = threading.Barrier(2, timeout=120)
    split = tts.split_text_by_tokens

    def meet(*args: Any) -> Any:
        barrier.wait()
        return split(*args)

    tts.split_text_by_tokens = meet
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(infer, voice) for voice in (reference, voices["stereo"])]
    tts.split_text_by_tokens = split
    flow = tts.s2mel.models["cfm"]
    # As upstream's enable_torch_compile, without the compiler's own back end.
    flow.estimator = torch.compile(flow.estimator, fullgraph=True, dynamic=True, backend="eager")
    outcomes.keep("compiled", infer)
    print(json.dumps({"raised": outcomes.raised, "both": [len(one.result()) for one in both]}))


main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

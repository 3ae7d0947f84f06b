# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One process that speaks: ``speak.py CHECKPOINT REFERENCE OUT``. The audio goes to OUT, what is to be seen to stdout.

The language is one for which the package normalises no text: building its grammars takes a minute.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import torch  # noqa: E402
from indextts25 import IndexTTS25  # noqa: E402

TEXT = "Quincebread at dawnfall. Purpleotter whispers."
FEW = {"max_mel_tokens": 8, "num_beams": 1, "diffusion_steps": 2, "lang": "fr"}


def main(checkpoint: str, reference: str, out: Path) -> None:
    warnings.simplefilter("ignore")  # each segment ends at max_mel_tokens, and is told so
    tts = IndexTTS25(model_dir=checkpoint, device="cpu")
    torch.manual_seed(1)
    tts.synthesize(TEXT, voice=reference, out=out / "plain.wav", segment_tokens=40, **FEW)
    torch.manual_seed(2)
    chunks = list(tts.stream(TEXT, voice=reference, segment_tokens=40, include_silence=True, **FEW))
    np.save(out / "stream.npy", np.concatenate([chunk.audio for chunk in chunks]))
    torch.manual_seed(3)
    rate, samples = tts._tts.infer(reference, TEXT, None, **FEW)
    np.save(out / "array.npy", samples)
    seen = {"ours_first": ours_first, "initialized": torch.cuda.is_initialized(), "chunks": len(chunks), "rate": rate}
    print(json.dumps(seen))


main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

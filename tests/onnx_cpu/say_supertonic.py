# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks with supertonic in each of its ways; audio goes to the folder OUT, what is to be seen to stdout."""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from spoken import SECRET
from supertonic import TTS
from supertonic.core import Style

TEXT = "Quincebread at dawnfall. Whispers the brook."


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def main(inputs: Path, out: Path) -> None:
    tts = TTS(model_dir=inputs, auto_download=False, intra_op_num_threads=1)
    preset = tts.get_voice_style("M1")
    own = tts.get_voice_style_from_path(inputs / "voice_styles" / f"{SECRET}.json")

    def say(name: str, text: str = TEXT, **options: Any) -> Any:
        np.random.seed(7)
        samples, seconds = tts.synthesize(text, **{"voice_style": preset, "lang": "en", "total_steps": 3, **options})
        np.save(out / f"{name}.npy", samples)
        return seconds

    seconds = say("plain")
    say("chunks", voice_style=own, max_chunk_length=30, lang="fr")
    np.random.seed(7)
    two = Style(np.repeat(preset.ttl, 2, 0), np.repeat(preset.dp, 2, 0))
    rows, _ = tts.model(["Quincebread", "Dawnfall, and more"], two, 2, 1.0, "en")
    np.save(out / "batch.npy", rows)
    tts.save_audio(tts(TEXT, preset, lang="en", total_steps=1)[0], str(out / "saved.wav"))
    (out / "saved.wav").unlink()  # other samples each time: it draws noise
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda steps: tts.synthesize(TEXT, preset, steps, lang="en")[0].shape[1], (2, 5)))
    later = asyncio.run(asyncio.to_thread(tts.synthesize, TEXT, preset, 2, lang="en"))[0].shape[1]
    seen = {
        "seconds": float(seconds[0]),
        "both": both,
        "later": later,
        "empty": refusal(lambda: tts.synthesize("", preset)),
        "long": refusal(lambda: tts.synthesize("a" * 100_001, preset)),
        "language": refusal(lambda: tts.synthesize(TEXT, preset, lang="zz")),
        "fast": refusal(lambda: tts.synthesize(TEXT, preset, lang="en", speed=9.0)),
        "emoji": refusal(lambda: say("emoji", "\N{GRINNING FACE}")),
    }
    tts.model.vocoder_ort = tts.model.dp_ort  # a graph that fails in the middle
    seen["broken"] = refusal(lambda: tts.synthesize(TEXT, preset, 2, lang="en"))
    print(json.dumps(seen))


main(Path(sys.argv[1]), Path(sys.argv[2]))

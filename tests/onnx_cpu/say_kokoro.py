# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks with kokoro-onnx in each of its ways; audio goes to the folder OUT, what is to be seen to stdout."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import kokoro_onnx
import numpy as np
from kokoro_onnx import Kokoro
from spoken import SECRET

TEXT = "Quincebread at dawnfall, whispers the brook."
kokoro_onnx.MAX_PHONEME_LENGTH = 24  # what the model takes at once, and so the length of a stream's pieces


async def stream(kokoro: Kokoro, most: int) -> list[np.ndarray]:
    chunks = []
    source = kokoro.create_stream(TEXT, "jf_alpha", lang="en-us")
    async for samples, _ in source:
        chunks.append(samples)
        if len(chunks) == most:
            break
    await source.aclose()
    return chunks


def refusal(kokoro: Kokoro, text: str, voice: str) -> str:
    try:
        kokoro.create(text, voice)
    except ValueError as error:
        return str(error)
    return "none"


def main(inputs: Path, out: Path) -> None:
    kokoro = Kokoro(str(inputs / "kokoro.onnx"), str(inputs / "voices.npz"))
    plain, rate = kokoro.create(TEXT, "jf_alpha", lang="en-us")
    np.save(out / "plain.npy", plain)
    timed, _, timings = kokoro.create_timed(TEXT, SECRET, speed=1.5, lang="en-gb", trim=False)
    np.save(out / "timed.npy", timed)
    phonemes, _ = kokoro.create("kwˈɪns", kokoro.get_voice_style("jf_alpha"), is_phonemes=True)
    np.save(out / "phonemes.npy", phonemes)
    chunks = asyncio.run(stream(kokoro, 1000))
    np.save(out / "stream.npy", np.concatenate(chunks))
    left = asyncio.run(stream(kokoro, 1))
    np.save(out / "left.npy", left[0])
    seen = {
        "rate": rate,
        "chunks": len(chunks),
        "timings": len(timings),
        "nobody": refusal(kokoro, TEXT, "nobodyknows"),
        "nothing": refusal(kokoro, "\u200b", "jf_alpha"),
        "control": refusal(kokoro, "\x00\x07", "jf_alpha"),
    }
    print(json.dumps(seen))


main(Path(sys.argv[1]), Path(sys.argv[2]))

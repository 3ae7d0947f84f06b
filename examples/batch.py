# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks text files: one WAV file, and one trace, for each.

    pip install .. hibari-tts
    otel-tts run -- python batch.py chapter1.txt chapter2.txt --to audiobook

A file that cannot be spoken is named and left out; the exit status is then 1. Nothing in here knows of telemetry:
what was recorded has been sent when the script is over.
"""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path

import numpy as np
from hibari import Hibari


def main() -> int:
    parser = argparse.ArgumentParser(description="Speak text files.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER")
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    tts = Hibari()
    failed = 0
    for file in asked.files:
        try:
            speak(tts, file, asked.to / f"{file.stem}.wav")
        except (OSError, ValueError, LookupError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def speak(tts: Hibari, file: Path, sound: Path) -> None:
    """Sentence by sentence: the sound of a whole book does not fit into memory."""
    text = file.read_text(encoding="utf-8")
    with wave.open(str(sound), "wb") as wav:
        wav.setparams((1, 2, tts.sample_rate, 0, "NONE", ""))
        for samples in tts.stream(text, seed=1):
            wav.writeframes((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
        empty = not wav.getnframes()
    if empty:
        sound.unlink()
        raise ValueError("there is nothing in it that can be spoken")


if __name__ == "__main__":
    sys.exit(main())

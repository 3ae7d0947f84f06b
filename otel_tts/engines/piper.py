# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""piper-tts: phonemes by espeak-ng, one VITS graph on onnxruntime that is acoustic model and vocoder at once.

Since 1.3 `synthesize` yields chunks; up to 1.2 it wrote to a WAV file that it was given, and `synthesize_stream_raw`
yielded PCM as bytes.
"""

from __future__ import annotations

from otel_tts.engines.table import Chunk, Engine, Entry, Seam, Stage


def _entry(target: str, chunk: Chunk | None, kinds: tuple[str, ...] = (), optional: bool = False) -> Entry:
    return Entry(
        f"PiperVoice.{target}", chunk=chunk, kinds=kinds, optional=optional, language="self.config.espeak_voice",
        device="self.session", sample_rate="self.config.sample_rate",
    )  # fmt: skip


ENGINE = Engine(
    name="piper",
    module="piper.voice",
    distribution="piper-tts",
    model="piper",
    channels=1,
    seconds_per_character=(0.01, 0.6),
    load=("PiperVoice.load",),
    entries=(
        _entry("synthesize_wav", None, optional=True),
        _entry("synthesize", Chunk("audio_float_array", "sample_rate", segment=True), ("generator", "function")),
        _entry("synthesize_stream_raw", Chunk(encoding="pcm16"), ("generator",), optional=True),
    ),
    seams=(
        Seam("PiperVoice.phonemize", Stage.TEXT_FRONTEND, device="cpu"),
        # onnxruntime waits for its own device
        Seam("PiperVoice.phoneme_ids_to_audio", Stage.MODEL, device="cpu", optional=True),
        Seam("PiperVoice.synthesize_ids_to_raw", Stage.MODEL, device="cpu", optional=True),
    ),
)

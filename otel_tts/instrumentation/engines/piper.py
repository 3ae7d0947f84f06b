# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""piper-tts: phonemes by espeak-ng, one VITS graph on onnxruntime that is acoustic model and vocoder at once."""

from __future__ import annotations

from otel_tts.engine import Call, Chunk, Engine, Entry, Seam, Stage
from otel_tts.gpu.fallback import sessions


def _device(call: Call) -> str | None:
    return sessions.device(call.instance.session)


ENGINE = Engine(
    name="piper",
    module="piper.voice",
    distribution="piper-tts",
    model="piper",
    channels=1,
    seconds_per_character=(0.01, 0.6),
    load=("PiperVoice.load",),
    entries=(
        Entry("PiperVoice.synthesize_wav", chunk=None, language="self.config.espeak_voice", device=_device),
        Entry(
            "PiperVoice.synthesize",
            chunk=Chunk(samples="audio_float_array", rate="sample_rate"),
            language="self.config.espeak_voice",
            device=_device,
            sample_rate="self.config.sample_rate",
        ),
    ),
    seams=(
        Seam("PiperVoice.phonemize", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("PiperVoice.phoneme_ids_to_audio", Stage.MODEL, device="cpu"),  # onnxruntime waits for its own device
    ),
)

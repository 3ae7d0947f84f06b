# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""hibari-tts: a small English voice on onnxruntime; the network predicts spectra, numpy turns them into a waveform."""

from __future__ import annotations

from otel_tts.engines.table import Call, Engine, Entry, Seam, Stage

_VOICES = frozenset({"heart", "fenrir", "emma", "fable", "kore"})


def _language(call: Call) -> str:
    return "en-GB" if call.instance.voice in ("emma", "fable") else "en-US"


ENGINE = Engine(
    name="hibari",
    module="hibari.tts",
    distribution="hibari-tts",
    model="hibari",
    presets=_VOICES,
    sample_rate=24000,
    channels=1,
    seconds_per_character=(0.01, 0.6),
    onnx=Stage.ACOUSTIC_MODEL,
    load=("Hibari.__init__",),
    entries=(
        Entry("Hibari.save", chunk=None, voice="self.voice", language=_language, device="self.sess"),
        Entry("Hibari.__call__", voice="self.voice", language=_language, device="self.sess"),
        Entry("Hibari.stream", kinds=("generator",), voice="self.voice", language=_language, device="self.sess"),
        Entry("Hibari.from_phonemes", text=None, voice="self.voice", language=_language, device="self.sess"),
    ),
    seams=(
        Seam("Hibari.phonemize", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("synth", Stage.VOCODER, module="hibari.dsp", device="cpu"),
    ),
)

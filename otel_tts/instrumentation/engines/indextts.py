# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS-2.5 as the package indextts25-inference has it: a GPT makes codes, a flow makes mel, BigVGAN the waveform.

Only that package: upstream's `indextts` encodes references and prepares text inline, where no callable can be wrapped.
"""

from __future__ import annotations

import os
from typing import Any, cast

from otel_tts import names
from otel_tts.engine import Call, Chunk, Engine, Entry, Seam, Stage

_S2MEL = "s2mel"
"""Codes to mel: a stage beside the GPT's, so that the two can be told apart and a segment counts once."""


def _language(call: Call) -> str | None:
    language = call.arguments.get("lang")
    return language.lower() if isinstance(language, str) else None


def _source(call: Call) -> str:
    return "reference"


def _emotion(call: Call) -> str:
    if call.arguments.get("emo_vector") is not None:
        return "vector"
    return "reference" if call.arguments.get("emo_audio_prompt", call.arguments.get("emotion")) else "speaker"


def _reuses_reference(call: Call) -> bool:
    """The engine keeps what it made of a voice under its path and time; on a hit that stage takes microseconds."""
    engine = getattr(call.instance, "_tts", call.instance)
    path = os.path.abspath(call.arguments.get("spk_audio_prompt") or call.arguments["voice"])
    return (path, os.stat(path).st_mtime_ns) in engine._spk_cache


def _samples(result: Any) -> Any:
    """A streamed segment, with or without its text, or (rate, samples); None of the path of a file."""
    parts = cast("tuple[Any, ...]", result) if isinstance(result, tuple) else (result,)
    return next((part for part in parts if hasattr(part, "shape")), None)


_FACTS = {
    names.VOICE_SOURCE: _source,
    names.EMOTION_MODE: _emotion,
    names.REFERENCE_CACHE_HIT: _reuses_reference,
}

ENGINE = Engine(
    name="indextts",
    module="indextts25.infer_v2_5",
    distribution="indextts25-inference",
    model="indextts-2.5",
    sample_rate=22050,
    channels=1,
    scale=32767.0,  # streamed segments are PCM values as floats
    load=("IndexTTS2.__init__",),
    entries=(
        *(
            Entry(target, module="indextts25.api", chunk=None, voice="voice", language=_language,
                  device="self._tts.device", facts=_FACTS)
            for target in ("IndexTTS25.synthesize", "IndexTTS25.stream")
        ),
        Entry("IndexTTS2.infer", chunk=None, voice="spk_audio_prompt", language=_language, device="self.device",
              facts=_FACTS),
        # The pauses between segments count as audio; IndexTTS25.stream leaves them out unless told otherwise.
        Entry("IndexTTS2.infer_generator", chunk=Chunk(samples=_samples), voice="spk_audio_prompt", language=_language,
              device="self.device", facts=_FACTS),
        Entry("save_pcm_wav", text=None, chunk=Chunk(samples="wav", rate="sampling_rate", given=True)),
    ),
    seams=(
        Seam("IndexTTS2._speaker_conditioning", Stage.REFERENCE_ENCODE),
        Seam("IndexTTS2._emotion_conditioning", Stage.REFERENCE_ENCODE),
        Seam("IndexTTS2._prepare_text", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("IndexTTS2.split_text_by_tokens", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("UnifiedVoice.inference_speech", Stage.ACOUSTIC_MODEL, module="indextts25.gpt.model_v2"),
        Seam("EnhancedCodec.decode", _S2MEL, module="indextts25.codec.models"),
        Seam("CFM.inference", _S2MEL, module="indextts25.s2mel.modules.flow_matching"),
        Seam("BigVGAN.forward", Stage.VOCODER, module="indextts25.s2mel.modules.bigvgan.bigvgan"),
    ),
)  # fmt: skip

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS from PyPI: ``indextts2-inference`` (2) and ``indextts25-inference`` (2.5).

Both took upstream's progress marker out and put methods in its place. The first has upstream's module path, and makes
floats of full scale 1 where upstream's are 32767.
"""

from __future__ import annotations

import os
from typing import Any

from otel_tts import names
from otel_tts.engines.indextts import parts
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Mark, Seam, Stage

V2 = Engine(
    name=parts.NAME,
    module="indextts.infer_v2",
    distribution="indextts2-inference",
    only_with="IndexTTS2._get_speaker_conditioning",
    model="indextts-2",
    sample_rate=22050,
    channels=1,
    scale=1.0,
    load=("IndexTTS2.__init__",),
    entries=(
        *(
            Entry(target, chunk=chunk, required=required, voice="spk_audio_prompt", device="self.device",
                  facts=parts.FACTS)
            for target, chunk, required in (
                ("IndexTTS2.infer", None, True),
                ("IndexTTS2.infer_generator", Chunk(samples=parts.samples), False),
            )
        ),
        Entry("IndexTTS2.insert_interval_silence", text=None),
    ),
    marks=(
        *parts.TEXT,
        Mark("UnifiedVoice.merge_emovec", Stage.ACOUSTIC_MODEL, module="indextts.gpt.model_v2"),
    ),
    seams=(
        Seam("QwenEmotion.inference", parts.EMOTION, module="indextts.emotion"),
        Seam("IndexTTS2._get_speaker_conditioning", Stage.REFERENCE_ENCODE, unless=parts.speaker_is_kept),
        Seam("IndexTTS2._get_emotion_conditioning", Stage.REFERENCE_ENCODE, unless=parts.emotion_is_kept),
        *parts.acoustic("indextts.gpt.model_v2", "indextts.s2mel.modules.flow_matching"),
        Seam("UnifiedVoice.forward", parts.GPT_FORWARD, module="indextts.gpt.model_v2", within=Stage.ACOUSTIC_MODEL),
        Seam("BigVGAN.forward", Stage.VOCODER, module="indextts.s2mel.modules.bigvgan.bigvgan"),
    ),
)  # fmt: skip


def _emotion(call: Call) -> str:
    given = call.arguments
    if given.get("emo_vector") is not None:
        return "vector"
    return "reference" if given.get("emo_audio_prompt", given.get("emotion")) else "speaker"


def _keeps_references(call: Call) -> bool:
    """The engine keeps what it made of recordings under their path and time."""
    given = call.arguments
    engine = getattr(call.instance, "_tts", call.instance)
    speaker = given.get("spk_audio_prompt", given.get("voice"))
    other = given.get("emo_audio_prompt", given.get("emotion")) if _emotion(call) == "reference" else None
    try:
        return _key(speaker) in engine._spk_cache and _key(other or speaker) in engine._emo_cache
    except (OSError, TypeError, ValueError):  # no such file: the engine will say so
        return False


def _key(path: Any) -> tuple[str, int]:
    return os.path.abspath(path), os.stat(path).st_mtime_ns


def _keeps_speaker(call: Call) -> bool:
    return call.arguments["key"] in call.instance._spk_cache


def _keeps_emotion(call: Call) -> bool:
    return call.arguments["key"] in call.instance._emo_cache


_FACTS = {
    names.VOICE_SOURCE: parts.source,
    names.EMOTION_MODE: _emotion,
    names.REFERENCE_CACHE_HIT: _keeps_references,
}

V2_5 = Engine(
    name=parts.NAME,
    module="indextts25.infer_v2_5",
    distribution="indextts25-inference",
    model="indextts-2.5",
    sample_rate=22050,
    channels=1,
    scale=parts.PCM_SCALE,  # of streamed segments
    load=("IndexTTS2.__init__",),
    entries=(
        *(
            Entry(target, module="indextts25.api", chunk=None, voice="voice", language=parts.language,
                  device="self._tts.device", facts=_FACTS)
            for target in ("IndexTTS25.synthesize", "IndexTTS25.stream")
        ),
        Entry("IndexTTS2.infer", chunk=None, required=True, voice="spk_audio_prompt", language=parts.language,
              device="self.device", facts=_FACTS),
        # The pauses between segments count as audio; IndexTTS25.stream leaves them out unless told otherwise.
        Entry("IndexTTS2.infer_generator", kinds=("generator",), chunk=Chunk(samples=parts.samples),
              voice="spk_audio_prompt",
              language=parts.language, device="self.device", facts=_FACTS),
        Entry("save_pcm_wav", text=None, chunk=Chunk(samples="wav", rate="sampling_rate", given=True)),
    ),
    marks=(Mark("UnifiedVoice.merge_emovec", Stage.ACOUSTIC_MODEL, module="indextts25.gpt.model_v2"),),
    seams=(
        Seam("IndexTTS2._speaker_conditioning", Stage.REFERENCE_ENCODE, unless=_keeps_speaker),
        Seam("IndexTTS2._emotion_conditioning", Stage.REFERENCE_ENCODE, unless=_keeps_emotion),
        Seam("IndexTTS2._prepare_text", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("IndexTTS2.split_text_by_tokens", Stage.TEXT_FRONTEND, device="cpu"),
        *parts.acoustic("indextts25.gpt.model_v2", "indextts25.s2mel.modules.flow_matching"),
        Seam("EnhancedCodec.decode", parts.S2MEL, module="indextts25.codec.models", within=Stage.ACOUSTIC_MODEL),
        Seam("BigVGAN.forward", Stage.VOCODER, module="indextts25.s2mel.modules.bigvgan.bigvgan"),
    ),
)  # fmt: skip

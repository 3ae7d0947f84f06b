# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 1 and 1.5, upstream's ``indextts.infer``: a GPT makes codes and latents, BigVGAN the waveform of them.

References are encoded and texts prepared in the lines of one function; its progress marker says where they begin.
``infer_fast`` puts the texts of several segments through the GPT at once, all before the first latents.
"""

from __future__ import annotations

from otel_tts import names
from otel_tts.engines.indextts import parts
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Mark, Seam, Stage

_STAGES = (Stage.REFERENCE_ENCODE, Stage.TEXT_FRONTEND, Stage.ACOUSTIC_MODEL, Stage.POSTPROCESS)


def _stage(call: Call) -> str | None:
    value = call.arguments["value"]
    if value < 0.1:
        return Stage.REFERENCE_ENCODE
    if value < 0.2:
        return Stage.TEXT_FRONTEND
    if value < 0.7:
        return Stage.ACOUSTIC_MODEL
    return Stage.POSTPROCESS if value >= 0.9 else None


def _model(call: Call) -> str:
    version = call.instance.model_version
    return f"indextts-{version:g}" if isinstance(version, float | int) else "indextts-1"


def _keeps_reference(call: Call) -> bool:
    engine = call.instance
    return engine.cache_cond_mel is not None and engine.cache_audio_prompt == call.arguments.get("audio_prompt")


ENGINE = Engine(
    name=parts.NAME,
    module="indextts.infer",
    distribution="",
    only_with="IndexTTS.infer_fast",
    sample_rate=24000,
    channels=1,
    scale=parts.PCM_SCALE,
    load=("IndexTTS.__init__",),
    entries=(
        *(
            Entry(target, chunk=Chunk(samples=parts.samples), voice="audio_prompt", model=_model, device="self.device",
                  facts={
                      names.ENGINE_VERSION: parts.version,
                      names.VOICE_SOURCE: parts.source,
                      names.REFERENCE_CACHE_HIT: _keeps_reference,
                  })
            for target in ("IndexTTS.infer", "IndexTTS.infer_fast")
        ),
        parts.WRITER,
    ),
    marks=(
        Mark("IndexTTS._set_gr_progress", _stage, stages=_STAGES),
        Mark("TextTokenizer.tokenize", Stage.TEXT_FRONTEND, module="indextts.utils.front"),
        Mark("TextTokenizer.split_segments", Stage.TEXT_FRONTEND, module="indextts.utils.front", segments=True),
    ),
    seams=(
        Seam("UnifiedVoice.inference_speech", parts.GPT, module="indextts.gpt.model", within=Stage.ACOUSTIC_MODEL,
             finish=parts.finish),
        Seam("UnifiedVoice.forward", parts.GPT_FORWARD, module="indextts.gpt.model", within=Stage.ACOUSTIC_MODEL),
        Seam("BigVGAN.forward", Stage.VOCODER, module="indextts.BigVGAN.models"),
    ),
)  # fmt: skip

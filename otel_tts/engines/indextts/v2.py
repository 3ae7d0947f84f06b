# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 2 and 2.5 from upstream's checkout: ``indextts.infer_v2`` and ``indextts.infer_v2_5``.

``infer_generator`` is one function of 300 lines that encodes references, prepares the text, and loops over segments.
What it calls for the progress bar, with or without one, says which of these it is about to do.

``infer`` takes the first item of that generator and answers None to any IndexError on the way: the audio that was to
come is missing, the exception was the engine's.
"""

from __future__ import annotations

from otel_tts import names
from otel_tts.engines.indextts import parts
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Mark, Seam, Stage

_GPT, _FLOW = "indextts.gpt.model_v2", "indextts.s2mel.modules.flow_matching"
_STAGES = (Stage.REFERENCE_ENCODE, Stage.TEXT_FRONTEND, Stage.ACOUSTIC_MODEL, Stage.POSTPROCESS)


def _stage(call: Call) -> str:
    value = call.arguments["value"]
    if value < 0.1:
        return Stage.REFERENCE_ENCODE
    if value < 0.2:
        return Stage.TEXT_FRONTEND
    return Stage.ACOUSTIC_MODEL if value < 0.9 else Stage.POSTPROCESS


def _is_whole(call: Call) -> bool:
    """Not one of the parts that 2.5's ``infer`` has made one by one with ``low_vram``, to join them itself."""
    given = call.arguments
    return not getattr(call.instance, "low_vram", False) or bool(
        given.get("interval_silence", 200) or given.get("output_path") or given.get("stream_return")
    )


_FACTS = {names.ENGINE_VERSION: parts.version, **parts.FACTS}
_ENTRIES = (
    Entry("IndexTTS2.infer", chunk=Chunk(samples=parts.samples), required=True, voice="spk_audio_prompt",
          language=parts.language, device="self.device", facts=_FACTS),
    Entry("IndexTTS2.infer_generator", kinds=("generator",), chunk=Chunk(samples=parts.samples),
          voice="spk_audio_prompt",
          language=parts.language, device="self.device", facts=_FACTS, when=_is_whole),
    parts.WRITER,
)  # fmt: skip
_PROGRESS = Mark("IndexTTS2._set_gr_progress", _stage, stages=_STAGES)
_EMOTION = Seam("QwenEmotion.inference", parts.EMOTION, then=Stage.REFERENCE_ENCODE)
_VOCODER = Seam("BigVGAN.forward", Stage.VOCODER, module="indextts.s2mel.modules.bigvgan.bigvgan")


def _table(module: str, model: str, own: Seam) -> Engine:
    """The versions differ in one part of the acoustic model, their `own`."""
    return Engine(
        name=parts.NAME,
        module=module,
        distribution="",
        only_with="IndexTTS2._set_gr_progress",
        model=model,
        sample_rate=22050,
        channels=1,
        scale=parts.PCM_SCALE,
        load=("IndexTTS2.__init__",),
        entries=_ENTRIES,
        marks=(_PROGRESS,),
        seams=(_EMOTION, *parts.acoustic(_GPT, _FLOW), own, _VOCODER),
    )


V2 = _table(
    "indextts.infer_v2",
    "indextts-2",
    Seam("UnifiedVoice.forward", parts.GPT_FORWARD, module=_GPT, within=Stage.ACOUSTIC_MODEL),
)
V2_5 = _table(
    "indextts.infer_v2_5",
    "indextts-2.5",
    Seam("EnhancedCodec.decode", parts.S2MEL, module="indextts.codec.models", within=Stage.ACOUSTIC_MODEL),
)

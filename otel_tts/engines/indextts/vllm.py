# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""index-tts-vllm (a source checkout): IndexTTS 2 whose GPT is served by vLLM, in a process of its own.

All of it is one coroutine. Requests meet in vLLM, which makes a batch of them and says why each ended; the other stages
run on the event loop, one request after the other.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.indextts import parts
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Mark, Seam, Stage

_REASONS = {"stop": "stop", "length": "length", "abort": "aborted"}


def _keeps_references(call: Call) -> bool:
    """Whether the caller hands over what `precompute_speaker` and `precompute_emotion` have made."""
    return call.arguments.get("spk_cache") is not None and call.arguments.get("emo_cache") is not None


def served(call: Call, item: Any, items: int) -> Finish:
    """Why vLLM ended a request, as its last word says."""
    output = item.outputs[0]
    limit = getattr(call.arguments.get("sampling_params"), "max_tokens", None)
    return Finish(len(output.token_ids), limit, _REASONS.get(str(output.finish_reason)))


_GPT = "indextts.gpt.model_vllm_v2"
_FACTS = parts.FACTS | {names.REFERENCE_CACHE_HIT: _keeps_references}

ENGINE = Engine(
    name=parts.NAME,
    module="indextts.infer_vllm_v2",
    distribution="",
    model="indextts-2-vllm",
    sample_rate=22050,
    channels=1,
    scale=parts.PCM_SCALE,
    load=("IndexTTS2.__init__",),
    entries=(
        Entry("IndexTTS2.infer", kinds=("coroutine",), chunk=Chunk(samples=parts.samples), voice="spk_audio_prompt",
              device="self.device", facts=_FACTS),
    ),
    marks=(
        Mark("TextTokenizer.tokenize", Stage.TEXT_FRONTEND, module="indextts.utils.front"),
        Mark("UnifiedVoice.merge_emovec", Stage.ACOUSTIC_MODEL, module=_GPT),
    ),
    seams=(
        Seam("QwenEmotion.inference", parts.EMOTION),
        Seam("IndexTTS2.get_emb", Stage.REFERENCE_ENCODE),
        Seam("UnifiedVoice.inference_speech", parts.GPT, module=_GPT, within=Stage.ACOUSTIC_MODEL),
        Seam("AsyncLLM.generate", Stage.REMOTE, module="vllm.v1.engine.async_llm", finish=served,
             facts={names.REMOTE_ID: "request_id"}),
        Seam("UnifiedVoice.forward", parts.GPT_FORWARD, module=_GPT, within=Stage.ACOUSTIC_MODEL),
        Seam("CFM.inference", parts.S2MEL, module="indextts.s2mel.modules.flow_matching", within=Stage.ACOUSTIC_MODEL),
        Seam("BigVGAN.forward", Stage.VOCODER, module="indextts.s2mel.modules.bigvgan.bigvgan"),
    ),
)  # fmt: skip

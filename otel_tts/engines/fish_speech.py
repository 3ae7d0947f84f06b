# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""fish-speech (a source checkout; OpenAudio S1, Fish Audio S2-Pro): a language model makes codes, a codec the waveform.

The language model has a thread of its own that was started before any request and takes jobs from a queue. A stream
begins with a header and ends with the whole once more; errors are handed over as items.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage


def _streams(call: Call) -> bool:
    return bool(call.arguments["req"].streaming)


def _audio(call: Call, item: Any) -> Any:
    wanted = "segment" if _streams(call) else "final"
    return item.audio[1] if item.code == wanted else None


def _is_over(call: Call, item: Any) -> bool:
    return item.code in ("final", "error")


def _source(call: Call) -> str | None:
    """Without a reference the model speaks as whoever it likes."""
    request = call.arguments["req"]
    return "reference" if request.reference_id is not None or request.references else None


def _is_known(call: Call) -> bool | None:
    """Of references that come with the request the engine hashes the audio; that is not done twice."""
    request = call.arguments["req"]
    if request.reference_id is None:
        return None
    return request.use_memory_cache == "on" and request.reference_id in call.instance.ref_by_id


def _finish(call: Call, sequence: Any, items: int) -> Finish:
    """The prompt and what was made, one column a step; 0 asks for as many as the model's context has room for."""
    given = call.arguments
    before = given["prompt"].shape[1]
    room = given["model"].config.max_seq_len - before
    return Finish(sequence.shape[1] - before, min(given["max_new_tokens"] or room, room))


_LLAMA = "fish_speech.models.text2semantic.inference"
_VQ = "fish_speech.inference_engine.vq_manager"

ENGINE = Engine(
    name="fish-speech",
    module="fish_speech.inference_engine",
    distribution="",
    model="fish-speech",
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=(f"{_LLAMA}:init_model", "fish_speech.models.dac.inference:load_model"),
    entries=(
        Entry(
            "TTSInferenceEngine.inference",
            text="req.text",
            chunk=Chunk(select=_audio, rate="audio.0"),
            kinds=("generator",),
            voice="req.reference_id",
            device="self.decoder_model.device",
            facts={names.STREAM: _streams, names.VOICE_SOURCE: _source, names.REFERENCE_CACHE_HIT: _is_known},
            error="error",
            last=_is_over,
        ),
    ),
    seams=(
        Seam("VQManager.encode_reference", Stage.REFERENCE_ENCODE, module=_VQ),
        Seam("generate_long", Stage.ACOUSTIC_MODEL, module=_LLAMA, job="GenerateRequest.request"),
        Seam("Conversation.encode_for_inference", Stage.TEXT_FRONTEND, module="fish_speech.conversation",
             device="cpu", optional=True),
        Seam("ContentSequence.encode_for_inference", Stage.TEXT_FRONTEND, module="fish_speech.content_sequence",
             device="cpu", optional=True),
        Seam("generate", "llama", module=_LLAMA, finish=_finish),
        Seam("VQManager.decode_vq_tokens", Stage.VOCODER, module=_VQ),
    ),
)  # fmt: skip

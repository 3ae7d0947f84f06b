# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""faster-qwen3-tts: Qwen3-TTS by CUDA graphs, streaming, or by ggml, which is compiled and one piece.

What a graph replays is not seen; the loops around them say how many frames were made. They end at the model's own end,
at `max_new_tokens`, and without a word where the cache is full. Tokenising and the codec are qwen-tts's, whose table
names them.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines import qwen_tts
from otel_tts.engines.given import path
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Reader, Seam, Stage


def _reference(call: Call) -> str | None:
    return path(call.arguments.get("ref_audio"))


def _is_known(call: Call) -> bool:
    """Whether the reference was encoded before: a prompt is given, or the engine has kept its own."""
    given = call.arguments
    if given.get("voice_clone_prompt") is not None:
        return True
    key = str(given.get("ref_audio")), given.get("ref_text", ""), given.get("xvec_only", False), given.get(
        "append_silence", True
    )  # fmt: skip
    return key in getattr(call.instance, "_voice_prompt_cache", ())


def _finish(call: Call, result: Any, items: int) -> Finish:
    """The codes and a dictionary of times, of a stream the last ones: steps so far, or in all."""
    given, timing = call.arguments, result[1]
    limit = given["max_new_tokens"]
    if (graph := given.get("talker_graph")) is not None:
        limit = min(limit, graph.max_seq_len - given["talker_input_embeds"].shape[1])
    return Finish(timing.get("total_steps_so_far", timing.get("steps")), limit)


def _entries(kind: str, voice: Reader | None, source: Reader, **facts: Reader) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            f"{engine}.generate_{kind}{way}", module=module, chunk=Chunk(samples=0, rate=1),
            kinds=("generator",) if way else ("function",), voice=voice, language=qwen_tts.language,
            facts={names.VOICE_SOURCE: source, **facts},
        )
        for module, engine in ((None, "FasterQwen3TTS"), ("faster_qwen3_tts.ggml_backend", "GGMLQwen3TTS"))
        for way in ("", "_streaming")
    )  # fmt: skip


_STREAM = "faster_qwen3_tts.streaming"

ENGINE = Engine(
    name="faster-qwen3-tts",
    module="faster_qwen3_tts.model",
    distribution="faster-qwen3-tts",
    model="qwen3-tts",
    presets=qwen_tts.PRESETS,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("FasterQwen3TTS.from_pretrained", "faster_qwen3_tts.ggml_backend:GGMLQwen3TTS.from_pretrained"),
    entries=(
        *_entries("custom_voice", qwen_tts.speaker, qwen_tts.preset),
        *_entries("voice_design", None, qwen_tts.described),
        *_entries("voice_clone", _reference, qwen_tts.cloned, **{names.REFERENCE_CACHE_HIT: _is_known}),
    ),
    seams=(
        Seam("FasterQwen3TTS._resolve_voice_clone_prompt", Stage.REFERENCE_ENCODE, unless=_is_known),
        Seam("fast_generate", Stage.ACOUSTIC_MODEL, module="faster_qwen3_tts.generate", finish=_finish),
        Seam("fast_generate_streaming", Stage.ACOUSTIC_MODEL, module=_STREAM, finish=_finish),
        Seam("parity_generate_streaming", Stage.ACOUSTIC_MODEL, module=_STREAM, finish=_finish),
    ),
)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the tables of all IndexTTS packages share: names of their sub-stages, and where the facts of a call stand."""

from __future__ import annotations

import functools
from typing import Any, Final, cast

from otel_tts import names
from otel_tts.engines.table import Call, Chunk, Entry, Finish, Mark, Seam, Stage

NAME: Final = "indextts"

GPT: Final = "gpt"
"""Text to codes, one step for each. A part of the acoustic model, as are the next two."""
GPT_FORWARD: Final = "gpt_forward"
"""All codes once more, for the latents (v1 and v2)."""
S2MEL: Final = "s2mel"
"""Codes to mel: what the flow does."""
EMOTION: Final = "emotion_from_text"
"""A language model's guess at the emotion of a text."""

PCM_SCALE: Final = 32767.0
"""Samples that are floats have the values of 16 bit integers."""

_LANGUAGE_TAG: Final = (2, 3)
"""Characters of a tag that the packages take. ``zhen``, Chinese with English in it, is none."""


def language(call: Call) -> str | None:
    given = call.arguments.get("lang")
    return given.lower() if isinstance(given, str) and len(given) in _LANGUAGE_TAG else None


def source(call: Call) -> str:
    return "reference"


def emotion(call: Call) -> str:
    """What decides where several are given, as the engine itself does."""
    arguments = call.arguments
    if arguments.get("use_emo_text"):
        return "text"
    if arguments.get("emo_vector") is not None:
        return "vector"
    return "reference" if arguments.get("emo_audio_prompt") else "speaker"


def keeps_references(call: Call) -> bool:
    """Whether the engine has the encodings of this call's speaker and emotion from the call before."""
    return speaker_is_kept(call) and emotion_is_kept(call)


def speaker_is_kept(call: Call) -> bool:
    engine = call.instance
    return engine.cache_spk_cond is not None and engine.cache_spk_audio_prompt == call.arguments.get("spk_audio_prompt")


def emotion_is_kept(call: Call) -> bool:
    engine, arguments = call.instance, call.arguments
    asked = arguments.get("emo_audio_prompt")
    if asked is None or emotion(call) in ("text", "vector"):
        asked = arguments.get("spk_audio_prompt")
    return engine.cache_emo_cond is not None and engine.cache_emo_audio_prompt == asked


def samples(result: Any) -> Any:
    """A streamed segment, with or without its text, or (rate, samples); None of the path of a file."""
    parts = cast("tuple[Any, ...]", result) if isinstance(result, tuple) else (result,)
    return next((part for part in parts if hasattr(part, "shape")), None)


@functools.cache
def _checkout() -> str | None:
    """The version of upstream's checkout where it was installed, or of a package that brings its modules along."""
    from importlib import metadata

    for distribution in ("indextts", "indextts2-cli", "tts-webui-index-tts"):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def version(call: Call) -> str | None:
    return _checkout()


FACTS: Final = {
    names.VOICE_SOURCE: source,
    names.EMOTION_MODE: emotion,
    names.REFERENCE_CACHE_HIT: keeps_references,
}


WRITER: Final = Entry(
    "save_pcm_wav", text=None, chunk=Chunk(samples="wav", rate="sampling_rate", given=True), optional=True
)
"""Takes the audio that goes to a file. Upstream has it since August 2026; before, only the file itself can be read."""


def finish(call: Call, result: Any, items: int) -> Finish:
    """Codes of a batch, or a pair that begins with them: their shape says how many steps were made. One more step with
    the code for the end is among them, so that an end in the very last step counts as the limit."""
    codes = cast("tuple[Any, ...]", result)[0] if isinstance(result, tuple) else result
    limit = call.arguments.get("max_generate_length")
    steps = getattr(codes, "sequences", codes).shape[-1]
    return Finish(steps=steps, limit=call.instance.max_mel_tokens - 1 if limit is None else limit)


def acoustic(gpt: str, flow: str) -> tuple[Seam, ...]:
    """Return the parts of the acoustic model whose modules have these names.

    The flow's estimator is what ``use_torch_compile`` compiles as one graph: no hook is inside it.
    """
    return (
        Seam("UnifiedVoice.inference_speech", GPT, module=gpt, within=Stage.ACOUSTIC_MODEL, finish=finish),
        Seam("CFM.inference", S2MEL, module=flow, within=Stage.ACOUSTIC_MODEL),
    )


TEXT: Final = (
    Mark("TextTokenizer.tokenize", Stage.TEXT_FRONTEND, module="indextts.utils.front"),
    Mark("TextTokenizer.split_segments", Stage.TEXT_FRONTEND, module="indextts.utils.front"),
)

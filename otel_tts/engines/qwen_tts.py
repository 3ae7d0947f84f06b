# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-TTS: a language model makes a frame of codes a step, a codec the waveform of them, for one text or a batch.

The talker's own `generate` is transformers', and a second model's runs inside of it once a frame: the hook is around
both. A clone's codec decodes the reference once more and cuts it off again, so that its stage makes more than is heard.
"""

from __future__ import annotations

from typing import Any, cast

from otel_tts import names
from otel_tts.engines.given import only, path
from otel_tts.engines.kept import kept
from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Keep, Reader, Seam, Stage

PRESETS = frozenset({"aiden", "dylan", "eric", "ono_anna", "ryan", "serena", "sohee", "uncle_fu", "vivian"})


def speaker(call: Call) -> str | None:
    name = only(call.arguments["speaker"])
    return name.lower() if isinstance(name, str) else None


def language(call: Call) -> str | None:
    return tag(call.arguments.get("language"))


def preset(call: Call) -> str:
    return "preset"


def described(call: Call) -> str:
    return "description"


def cloned(call: Call) -> str:
    return "reference"


def _reference(call: Call) -> str | None:
    return path(call.arguments.get("ref_audio"))


def _cloned_voice(call: Call) -> str | None:
    prompt = call.arguments.get("voice_clone_prompt")
    items: list[Any] = cast("list[Any]", prompt) if isinstance(prompt, list) else []
    return only([kept(item) for item in items]) or _reference(call)


def _has_prompt(call: Call) -> bool:
    return call.arguments.get("voice_clone_prompt") is not None


def _model(call: Call) -> str:
    model = call.instance.model
    return f"qwen3-tts-{model.tts_model_size}-{model.tts_model_type}"


def _texts(call: Call) -> int:
    return len(call.arguments["input_ids"])


def _finish(call: Call, result: Any, items: int) -> Finish:
    """Frames of the longest text of a batch: the last step makes the code of the end, or one that is left out."""
    steps = max(codes.shape[0] for codes in result[0])
    return Finish(steps, limit=call.arguments.get("max_new_tokens", 4096) - 1)


def _entry(kind: str, voice: Reader | None, source: Reader, **facts: Reader) -> Entry:
    return Entry(
        f"Qwen3TTSModel.generate_{kind}", chunk=Chunk(samples=0, rate=1), voice=voice, model=_model, language=language,
        device="self.device", facts={names.VOICE_SOURCE: source, **facts},
    )  # fmt: skip


_TOKENIZER = "qwen_tts.inference.qwen3_tts_tokenizer"

ENGINE = Engine(
    name="qwen-tts",
    module="qwen_tts.inference.qwen3_tts_model",
    distribution="qwen-tts",
    model="qwen3-tts",
    presets=PRESETS,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("Qwen3TTSModel.from_pretrained",),
    keeps=(Keep("Qwen3TTSModel.create_voice_clone_prompt", _reference),),
    entries=(
        _entry("custom_voice", speaker, preset),
        _entry("voice_design", None, described),
        _entry("voice_clone", _cloned_voice, cloned, **{names.REFERENCE_CACHE_HIT: _has_prompt}),
    ),
    seams=(
        Seam("Qwen3TTSModel._tokenize_texts", Stage.TEXT_FRONTEND, device="cpu", fold=True),
        Seam("Qwen3TTSTokenizer.encode", Stage.REFERENCE_ENCODE, module=_TOKENIZER),
        Seam("Qwen3TTSForConditionalGeneration.extract_speaker_embedding", Stage.REFERENCE_ENCODE),
        Seam("Qwen3TTSForConditionalGeneration.generate", Stage.ACOUSTIC_MODEL, segments=_texts, finish=_finish),
        Seam("Qwen3TTSTokenizer.decode", Stage.VOCODER, module=_TOKENIZER, fold=True),
    ),
)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Chatterbox, its turbo and its multilingual model: a language model makes speech tokens, a flow and HiFT the sound.

A reference stays with the model for the requests after it, and so does its name here. The end of a generation is read
from its shape: 1000 tokens, 40 s, are all there is, and the rest of the text is left out without a word.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.given import path
from otel_tts.engines.kept import kept
from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Keep, Reader, Seam, Stage


def _reference(call: Call) -> str | None:
    return path(call.arguments.get("wav_fpath"))


def _voice(call: Call) -> str | None:
    return path(call.arguments.get("audio_prompt_path")) or kept(call.instance)


def _source(call: Call) -> str:
    return "reference" if _voice(call) else "default"


def _is_known(call: Call) -> bool:
    return not call.arguments.get("audio_prompt_path")


def _language(call: Call) -> str | None:
    return tag(call.arguments.get("language_id"))


def _english(call: Call) -> str:
    return "en"


def _finish(call: Call, tokens: Any, items: int) -> Finish:
    """The code for the end is among the tokens."""
    return Finish(tokens.shape[1], call.arguments["max_new_tokens"])


def _turbo_finish(call: Call, tokens: Any, items: int) -> Finish:
    """Of turbo it is not, and one more token than its limit comes first."""
    return Finish(tokens.shape[1], call.arguments.get("max_gen_len", 1000) + 1)


_TTS, _TURBO, _MANY = "chatterbox.tts", "chatterbox.tts_turbo", "chatterbox.mtl_tts"
_CLASSES = {_TTS: "ChatterboxTTS", _TURBO: "ChatterboxTurboTTS", _MANY: "ChatterboxMultilingualTTS"}


def _entry(module: str, model: str, language: Reader) -> Entry:
    def named(call: Call) -> str:
        return model

    return Entry(
        f"{_CLASSES[module]}.generate", module=module, chunk=Chunk(), voice=_voice, model=named, language=language,
        device="self.device", sample_rate="self.sr",
        facts={names.VOICE_SOURCE: _source, names.REFERENCE_CACHE_HIT: _is_known},
    )  # fmt: skip


_S3GEN, _T3 = "chatterbox.models.s3gen.s3gen", "chatterbox.models.t3.t3"
_TOKENIZER = "chatterbox.models.tokenizers.tokenizer"
_WATERMARK = "perth.perth_net.perth_net_implicit.perth_watermarker"

ENGINE = Engine(
    name="chatterbox",
    module=_TTS,
    distribution="chatterbox-tts",
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=tuple(
        f"{module}:{name}.{way}" for module, name in _CLASSES.items() for way in ("from_pretrained", "from_local")
    ),
    keeps=tuple(Keep(f"{name}.prepare_conditionals", _reference, module=module) for module, name in _CLASSES.items()),
    entries=(
        _entry(_TTS, "chatterbox", _english),
        _entry(_TURBO, "chatterbox-turbo", _english),
        _entry(_MANY, "chatterbox-multilingual", _language),
    ),
    seams=(
        *(
            Seam(f"{name}.prepare_conditionals", Stage.REFERENCE_ENCODE, module=module)
            for module, name in _CLASSES.items()
        ),
        *(Seam("punc_norm", Stage.TEXT_FRONTEND, module=module, device="cpu") for module in _CLASSES),
        Seam("EnTokenizer.text_to_tokens", Stage.TEXT_FRONTEND, module=_TOKENIZER, device="cpu"),
        Seam("MTLTokenizer.text_to_tokens", Stage.TEXT_FRONTEND, module=_TOKENIZER, device="cpu"),
        Seam("T3.inference", Stage.ACOUSTIC_MODEL, module=_T3, finish=_finish),
        Seam("T3.inference_turbo", Stage.ACOUSTIC_MODEL, module=_T3, finish=_turbo_finish),
        Seam("S3Token2Wav.flow_inference", "flow", module=_S3GEN),
        Seam("S3Token2Wav.hift_inference", Stage.VOCODER, module=_S3GEN),
        Seam("PerthImplicitWatermarker.apply_watermark", Stage.POSTPROCESS, module=_WATERMARK, optional=True),
    ),
)

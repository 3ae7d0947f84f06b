# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""kokoro: phonemes by misaki, then a network of StyleTTS 2's kind for each segment, whose decoder is the vocoder."""

from __future__ import annotations

from typing import Any

from otel_tts.engines.table import Call, Chunk, Engine, Entry, Seam, Stage

_LANGUAGES = {
    "a": "en-US", "b": "en-GB", "e": "es", "f": "fr-FR", "h": "hi", "i": "it", "j": "ja", "p": "pt-BR", "z": "zh",
}  # fmt: skip
_MODELS = {"hexgrad/Kokoro-82M": "kokoro-82m", "hexgrad/Kokoro-82M-v1.1-zh": "kokoro-82m-zh"}
_VOICES = {
    "af": "alloy aoede bella heart jessica kore nicole nova river sarah sky",
    "am": "adam echo eric fenrir liam michael onyx puck santa",
    "bf": "alice emma isabella lily", "bm": "daniel fable george lewis",
    "ef": "dora", "em": "alex santa", "ff": "siwis", "hf": "alpha beta", "hm": "omega psi", "if": "sara",
    "im": "nicola", "jf": "alpha gongitsune nezumi tebukuro", "jm": "kumo", "pf": "dora", "pm": "alex santa",
    "zf": "xiaobei xiaoni xiaoxiao xiaoyi", "zm": "yunjian yunxi yunxia yunyang",
}  # fmt: skip
"""The voices of version 1.0, by language and gender."""


def _language(call: Call) -> str | None:
    return _LANGUAGES.get(call.instance.lang_code)


def _network(call: Call) -> Any:
    return call.arguments.get("model") or call.instance.model


def _model(call: Call) -> str | None:
    return _MODELS.get(getattr(_network(call), "repo_id", None) or "")


def _device(call: Call) -> Any:
    return getattr(_network(call), "device", None)


def _makes_audio(call: Call) -> bool:
    """A pipeline without a model only turns text into phonemes."""
    return bool(_network(call))


def _own_model(call: Call) -> str | None:
    return _MODELS.get(getattr(call.instance, "repo_id", None) or "")


def _audio_of(result: Any) -> Any:
    return getattr(result, "audio", result)


def _entry(target: str, text: str | None) -> Entry:
    return Entry(
        target, text=text, chunk=Chunk("audio", segment=True, text="graphemes"), kinds=("generator",), voice="voice",
        model=_model, language=_language, device=_device, when=_makes_audio,
    )  # fmt: skip


ENGINE = Engine(
    name="kokoro",
    module="kokoro.pipeline",
    distribution="kokoro",
    model="kokoro",
    presets=frozenset(f"{kind}_{name}" for kind, names in _VOICES.items() for name in names.split()),
    sample_rate=24000,
    channels=1,
    seconds_per_character=(0.01, 0.6),
    load=("KModel.__init__",),
    entries=(
        _entry("KPipeline.__call__", "text"),
        _entry("KPipeline.generate_from_tokens", None),
        Entry(
            "KModel.__call__",
            module="kokoro.model",
            text=None,
            chunk=Chunk(_audio_of),
            model=_own_model,
            device="self.device",
            outermost=True,  # pages that make phonemes by a pipeline without a model call the network themselves
            optional=True,  # it is torch's, not in the package
        ),
    ),
    seams=(
        Seam("KPipeline.load_voice", Stage.REFERENCE_ENCODE, device="cpu"),
        Seam("G2P.__call__", Stage.TEXT_FRONTEND, module="misaki.en", device="cpu"),
        Seam("EspeakG2P.__call__", Stage.TEXT_FRONTEND, module="misaki.espeak", device="cpu"),
        Seam("KModel.forward", Stage.MODEL, module="kokoro.model"),
        Seam("Decoder.forward", Stage.VOCODER, module="kokoro.istftnet"),  # inside the former
    ),
)

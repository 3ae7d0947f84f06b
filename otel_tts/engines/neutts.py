# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""NeuTTS: a language model goes on with the codes of a reference, and a codec makes the waveform of what it added.

The reference was encoded before, and comes as codes, at fifty a second; NeuTTS-2E has its own. With a stream, which
only llama.cpp has, model and codec take turns in one generator: the codec is a stage, what lies between is not. Its
context, the prompt included, is the limit; where llama.cpp ran into it, nothing says so.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.given import path
from otel_tts.engines.kept import kept
from otel_tts.engines.table import Call, Engine, Entry, Finish, Keep, Reader, Seam, Stage

_CODES_A_SECOND = 50


def _reference(call: Call) -> str | None:
    return path(str(call.arguments["ref_audio_path"]))


def _voice(call: Call) -> str | None:
    return kept(call.arguments["ref_codes"])


def _seconds(call: Call) -> float:
    return len(call.arguments["ref_codes"]) / _CODES_A_SECOND


def _cloned(call: Call) -> str:
    return "reference"


def _speaker(call: Call) -> str:
    return call.arguments.get("speaker", "emily")


def _preset(call: Call) -> str:
    return "preset"


def _english(call: Call) -> str:
    return "en"


def _reused(call: Call) -> bool:
    return True


def _device(call: Call) -> Any:
    return getattr(call.instance.backbone, "device", None)


def _finish(call: Call, text: str, items: int) -> Finish:
    """Codes are words of the text; the one for the end is among what was made, too."""
    room = call.instance.max_context - len(call.arguments["prompt_ids"])
    return Finish(text.count("<|speech_"), room)


_2E = "neutts.neutts_2e"
_CLONED: dict[str, Reader] = {
    names.VOICE_SOURCE: _cloned, names.REFERENCE_DURATION: _seconds, names.REFERENCE_CACHE_HIT: _reused,
}  # fmt: skip


def _entries(way: str) -> tuple[Entry, Entry]:
    return (
        Entry(f"NeuTTS.{way}", kinds=("function",), voice=_voice, device=_device, facts=_CLONED),
        Entry(f"NeuTTS2E.{way}", module=_2E, kinds=("function",), voice=_speaker, language=_english, device=_device,
              facts={names.VOICE_SOURCE: _preset}),
    )  # fmt: skip


ENGINE = Engine(
    name="neutts",
    module="neutts.neutts",
    distribution="neutts",
    model="neutts",
    presets=frozenset({"emily", "paul", "sophie", "steven"}),
    sample_rate=24000,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("NeuTTS.__init__",),
    keeps=(Keep("NeuTTS.encode_reference", _reference),),
    entries=(*_entries("infer"), *_entries("infer_stream")),
    seams=(
        Seam("NeuTTS._to_phones", Stage.TEXT_FRONTEND, device="cpu", fold=True),
        Seam("NeuTTS._infer_torch", Stage.ACOUSTIC_MODEL, finish=_finish),
        Seam("NeuTTS._infer_ggml", Stage.ACOUSTIC_MODEL),
        Seam("NeuTTS._decode", Stage.VOCODER, fold=True),
        Seam("PerthImplicitWatermarker.apply_watermark", Stage.POSTPROCESS, fold=True, optional=True,
             module="perth.perth_net.perth_net_implicit.perth_watermarker"),
    ),
)  # fmt: skip

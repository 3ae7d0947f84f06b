# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Supertonic: four graphs of onnxruntime, one of which runs once for each step of a flow.

The length comes from a predictor before any sound is made: nothing is generated until it ends, and no limit is reached.
Between the texts of a long one there is silence, so that only the outer call has all of the audio.
A voice is two arrays when it comes to the call, so its name is kept from where it was loaded. The waveform is a little
longer than the seconds beside it say.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.kept import kept
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Graph, Keep, Seam, Stage


def _voice(call: Call) -> str | None:
    return kept(call.arguments.get("voice_style", call.arguments.get("style")))


def _source(call: Call) -> str | None:
    voice = _voice(call)
    return None if voice is None else "preset" if voice in ENGINE.presets else "reference"


def _batch(result: Any) -> Any:
    """A row for each text, and not a channel."""
    return list(result[0])


_FACTS = {names.VOICE_SOURCE: _source}
_CORE = "supertonic.core"

ENGINE = Engine(
    name="supertonic",
    module="supertonic.pipeline",
    distribution="supertonic",
    model="supertonic",
    presets=frozenset(f"{kind}{number}" for kind in "MF" for number in range(1, 6)),
    sample_rate=44100,
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("TTS.__init__",),
    keeps=(Keep("TTS.get_voice_style", "voice_name"), Keep("TTS.get_voice_style_from_path", "voice_style_path")),
    entries=(
        Entry("TTS.synthesize", chunk=Chunk(samples=0), voice=_voice, model="self.model_name", language="lang",
              device="self.model.vocoder_ort", facts=_FACTS),
        Entry("Supertonic.__call__", module=_CORE, text="text_list", chunk=Chunk(samples=_batch), voice=_voice,
              language="lang", device="self.vocoder_ort", facts=_FACTS, outermost=True),
    ),
    seams=(
        Seam("UnicodeProcessor.validate_text", Stage.TEXT_FRONTEND, module=_CORE, device="cpu"),
        Seam("chunk_text", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("UnicodeProcessor.__call__", Stage.TEXT_FRONTEND, module=_CORE, device="cpu"),
        Seam("TTS.save_audio", Stage.POSTPROCESS, device="cpu"),
    ),
    graphs=(
        Graph("duration_predictor", "duration"),
        Graph("text_encoder", Stage.ACOUSTIC_MODEL),
        Graph("vector_estimator", "flow", fold=True),
        Graph("vocoder", Stage.VOCODER),
    ),
)  # fmt: skip

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""F5-TTS: a flow makes the mel of a text beside its reference's, Vocos the sound; pieces of a text in threads, at once.

The length is reckoned from the reference's, so that nothing ends by itself; too much text is an error of shapes. What
is not streamed is a generator of which one item is taken. Streamed, it comes when a piece is made, cut small.
"""

from __future__ import annotations

from typing import Any, cast

from otel_tts import names
from otel_tts.engines.given import path
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Seam, Stage


def _samples(result: Any) -> Any:
    """Of an empty text there is None."""
    return () if result[0] is None else result[0]


_AUDIO = Chunk(samples=_samples, rate=1)


def _file(call: Call) -> str | None:
    return path(call.arguments.get("ref_file"))


def _recording(call: Call) -> str | None:
    return path(call.arguments.get("ref_audio"))


def _source(call: Call) -> str:
    return "reference"


def _texts(call: Call) -> list[str]:
    return list(cast("list[str]", call.arguments["gen_text_batches"]))


def _is_whole(call: Call, item: Any) -> bool:
    return not call.arguments.get("streaming", False)


_FACTS = {names.VOICE_SOURCE: _source}

ENGINE = Engine(
    name="f5-tts",
    module="f5_tts.infer.utils_infer",
    distribution="f5-tts",
    model="f5-tts",
    sample_rate=24000,
    channels=1,
    load=("load_model", "load_vocoder"),
    entries=(
        Entry("F5TTS.infer", module="f5_tts.api", text="gen_text", chunk=_AUDIO, voice=_file, device="self.device",
              facts=_FACTS),
        Entry("infer_process", text="gen_text", chunk=_AUDIO, voice=_recording, device="device", facts=_FACTS),
        Entry("infer_batch_process", text=_texts, chunk=_AUDIO, kinds=("generator",), device="device", facts=_FACTS,
              last=_is_whole),
    ),
    seams=(
        Seam("preprocess_ref_audio_text", Stage.REFERENCE_ENCODE, device="cpu"),
        Seam("transcribe", Stage.REFERENCE_ENCODE),
        Seam("chunk_text", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("convert_char_to_pinyin", Stage.TEXT_FRONTEND, device="cpu", fold=True),
        Seam("CFM.sample", Stage.ACOUSTIC_MODEL, module="f5_tts.model.cfm"),
        Seam("Vocos.decode", Stage.VOCODER),
        Seam("F5TTS.export_wav", Stage.POSTPROCESS, module="f5_tts.api", device="cpu"),
    ),
)  # fmt: skip

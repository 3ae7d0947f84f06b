# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Coqui TTS: VITS and XTTS by one `Synthesizer`, and XTTS by hand, streamed. `coqui-tts`, or its forerunner `TTS`.

Each sentence goes through the model by itself, with silence put between, so that only the outer call has all of the
audio. XTTS encodes its reference again for each of them. Its codes are counted by their shape: as many as fit were cut.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

from otel_tts import names
from otel_tts.engines.given import path
from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage, installed_version


@functools.cache
def _installed() -> str | None:
    return installed_version("coqui-tts") or installed_version("TTS")


def _version(call: Call) -> str | None:
    return _installed()


def _reference(call: Call) -> str | None:
    return path(call.arguments.get("speaker_wav"))


def _voice(call: Call) -> str | None:
    return _reference(call) or call.arguments.get("speaker_name") or None


def _source(call: Call) -> str:
    if call.arguments.get("speaker_wav"):
        return "reference"
    return "preset" if call.arguments.get("speaker_name") else "default"


def _cloned(call: Call) -> str:
    return "reference"


def _language(call: Call) -> str | None:
    return tag(call.arguments.get("language_name", call.arguments.get("language")))


def _samples(result: Any) -> Any:
    return cast("Mapping[str, Any]", result)["wav"] if isinstance(result, Mapping) else result


def _has_no_reference(call: Call) -> bool:
    return not call.arguments.get("speaker_wav")


def _finish(call: Call, result: Any, items: int) -> Finish:
    codes = cast("tuple[Any, ...]", result)[0] if isinstance(result, tuple) else result
    return Finish(codes.shape[1], call.arguments.get("max_new_tokens") or call.instance.max_gen_mel_tokens)


def _stream_finish(call: Call, item: Any, items: int) -> Finish:
    given = call.arguments
    return Finish(items, given["stopping_criteria"].max_length - given["input_ids"].shape[-1])


_XTTS, _GPT = "TTS.tts.models.xtts", "TTS.tts.layers.xtts.gpt"
_BY_HAND = {names.VOICE_SOURCE: _cloned, names.ENGINE_VERSION: _version}

ENGINE = Engine(
    name="coqui-tts",
    module="TTS.utils.synthesizer",
    distribution="coqui-tts",
    model="coqui-tts",
    channels=1,
    load=("Synthesizer.__init__",),
    locks=("TTS.server.server:lock",),
    entries=(
        Entry("Synthesizer.tts", chunk=Chunk(samples=_samples), voice=_voice, model="self.tts_config.model",
              language=_language, device="self.tts_model.device", sample_rate="self.output_sample_rate",
              facts={names.VOICE_SOURCE: _source, names.ENGINE_VERSION: _version}),
        Entry("Xtts.inference", module=_XTTS, chunk=Chunk(samples="wav"), model="self.config.model", language=_language,
              device="self.device", sample_rate="self.args.output_sample_rate", outermost=True, facts=_BY_HAND),
        Entry("Xtts.inference_stream", module=_XTTS, kinds=("generator",), chunk=Chunk(), model="self.config.model",
              language=_language, device="self.device", sample_rate="self.args.output_sample_rate", facts=_BY_HAND),
    ),
    seams=(
        Seam("Synthesizer.split_into_sentences", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("TTSTokenizer.text_to_ids", Stage.TEXT_FRONTEND, module="TTS.tts.utils.text.tokenizer", device="cpu"),
        Seam("VoiceBpeTokenizer.encode", Stage.TEXT_FRONTEND, module="TTS.tts.layers.xtts.tokenizer", device="cpu"),
        Seam("BaseTTS._get_speaker_id_or_dvector", Stage.REFERENCE_ENCODE, module="TTS.tts.models.base_tts",
             unless=_has_no_reference, optional=True),
        Seam("Xtts.get_conditioning_latents", Stage.REFERENCE_ENCODE, module=_XTTS),
        Seam("GPT.generate", Stage.ACOUSTIC_MODEL, module=_GPT, finish=_finish),
        Seam("NewGenerationMixin.sample_stream", Stage.ACOUSTIC_MODEL, module="TTS.tts.layers.xtts.stream_generator",
             finish=_stream_finish),
        Seam("GPT.forward", "gpt_forward", module=_GPT),  # all codes once more, for the latents
        Seam("Vits.inference", Stage.MODEL, module="TTS.tts.models.vits"),
        # XTTS's decoder runs this one inside, and so does VITS.
        Seam("HifiganGenerator.forward", Stage.VOCODER, module="TTS.vocoder.models.hifigan_generator"),
        Seam("Synthesizer._run_vocoder", Stage.VOCODER, optional=True),
        Seam("Xtts.handle_chunks", Stage.POSTPROCESS, module=_XTTS, fold=True),
        Seam("Synthesizer.save_wav", Stage.POSTPROCESS, device="cpu"),
    ),
)  # fmt: skip

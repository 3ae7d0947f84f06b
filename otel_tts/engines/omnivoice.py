# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OmniVoice: all codes of a text at once, unmasked in a fixed number of steps, for one text or a batch.

The length is chosen before, so that nothing ends by itself and no limit is reached. Long texts are cut, and their
pieces go through the model as further batches. Sound and its trimming are one call.
"""

from __future__ import annotations

from typing import Any, cast

from otel_tts import names
from otel_tts.engines.given import only, path
from otel_tts.engines.kept import kept
from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Keep, Seam, Stage


def _reference(call: Call) -> str | None:
    return path(call.arguments.get("ref_audio"))


def _voice(call: Call) -> str | None:
    prompt = call.arguments.get("voice_clone_prompt")
    given: list[Any] = cast("list[Any]", prompt) if isinstance(prompt, list) else [prompt]
    return only([kept(one) for one in given]) or _reference(call)


def _source(call: Call) -> str:
    given = call.arguments
    if _has_prompt(call) or given.get("ref_audio") is not None:
        return "reference"
    return "description" if given.get("instruct") else "default"


def _has_prompt(call: Call) -> bool:
    return call.arguments.get("voice_clone_prompt") is not None


def _language(call: Call) -> str | None:
    return tag(call.arguments.get("language"))


def _waves(result: Any) -> Any:
    return result


def _texts(call: Call) -> int:
    return call.arguments["task"].batch_size


ENGINE = Engine(
    name="omnivoice",
    module="omnivoice.models.omnivoice",
    distribution="omnivoice",
    model="omnivoice",
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("OmniVoice.from_pretrained", "OmniVoice.load_asr_model"),
    keeps=(Keep("OmniVoice.create_voice_clone_prompt", _reference),),
    entries=(
        Entry("OmniVoice.generate", chunk=Chunk(samples=_waves), voice=_voice, language=_language, device="self.device",
              sample_rate="self.sampling_rate",
              facts={names.VOICE_SOURCE: _source, names.REFERENCE_CACHE_HIT: _has_prompt}),
    ),
    seams=(
        Seam("OmniVoice._normalize_text", Stage.TEXT_FRONTEND, device="cpu", optional=True),
        Seam("OmniVoice.create_voice_clone_prompt", Stage.REFERENCE_ENCODE),
        Seam("OmniVoice._generate_iterative", Stage.ACOUSTIC_MODEL, segments=_texts, fold=True),
        Seam("OmniVoice._decode_and_post_process", Stage.VOCODER, fold=True),
    ),
)  # fmt: skip

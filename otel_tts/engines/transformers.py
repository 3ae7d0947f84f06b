# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""transformers: its text-to-audio pipeline, and the speech models that people call without it.

Where a model has several networks in a row, the first is `acoustic_model`, those up to the waveform have names of their
own, and the last is `vocoder`: so they can be told apart, and an utterance counts once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from otel_tts import names
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage

_MODELS = "transformers.models."
_VITS = _MODELS + "vits.modeling_vits"
_SPEECHT5 = _MODELS + "speecht5.modeling_speecht5"
_BARK = _MODELS + "bark.modeling_bark"
_CSM = _MODELS + "csm.modeling_csm"


# --- the pipeline -----------------------------------------------------------------------------------------


def _texts(call: Call) -> list[str] | None:
    """One text or several; the texts of a chat's messages are within too many kinds of parts to be counted."""
    given = call.arguments.get("text_inputs")
    texts: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    return texts if all(isinstance(text, str) for text in texts) else None


def _is_eager(call: Call) -> bool:
    """A generator or data set of texts is taken while the result is iterated: the models in it are heard one by one."""
    return isinstance(call.arguments.get("text_inputs"), (str, list, tuple))


def _results(result: Any) -> Any:
    """The samples of one result, or of a list of them, in which each text counts after the other."""
    if isinstance(result, list):
        return [part["audio"] for part in cast("list[Mapping[str, Any]]", result)]
    return cast("Mapping[str, Any]", result)["audio"]


# --- models -----------------------------------------------------------------------------------------------


def _waveforms(result: Any) -> Any:
    """A batch as the waveforms that it holds, the padding at their ends included."""
    output: Any = getattr(result, "waveform", None)
    if output is None:
        output = getattr(result, "audio", None)
    if output is None:
        output = cast("tuple[Any, ...]", result)[0] if isinstance(result, tuple) else result
    if isinstance(output, list):
        return cast("list[Any]", output)
    return [output] if output.ndim < 2 or len(output) == 1 else list(output)


def _has_no_labels(call: Call) -> bool:
    return call.arguments.get("labels") is None


def _makes_waveform(call: Call) -> bool:
    return call.arguments.get("vocoder") is not None


def _outputs_audio(call: Call) -> bool:
    return bool(call.arguments.get("output_audio"))


def _utterances(call: Call) -> int | None:
    """How many a batch has: its shape says it, no tensor is read."""
    ids = call.arguments.get("input_ids")
    return None if ids is None else int(ids.shape[0])


def _semantic(call: Call, tokens: Any, items: int) -> Finish:
    """Bark's words to tokens: those that ended early are filled up to the longest of the batch."""
    asked = call.arguments.get("max_new_tokens")
    limit = call.arguments["semantic_generation_config"].max_new_tokens if asked is None else asked
    return Finish(steps=tokens.shape[1], limit=limit)


def _frames(call: Call, result: Any, items: int) -> Finish:
    """SpeechT5's: of a batch those of the longest. A vocoder that it was given has made samples of them."""
    given = call.arguments
    config, vocoder = given["model"].config, given.get("vocoder")
    made: Any = cast("tuple[Any, ...]", result)[0] if isinstance(result, tuple) else result
    length = made.shape[-2] if vocoder is None else made.shape[-1] // math.prod(vocoder.config.upsample_rates)
    characters = given["input_values"].shape[1]
    limit = int(characters * given.get("maxlenratio", 20.0) / config.reduction_factor)
    return Finish(length // config.reduction_factor, max(limit, 1))


def _entry(module: str, target: str, rate: str, when: Callable[[Call], bool] | None = None) -> Entry:
    return Entry(
        target, module=module, text=None, chunk=Chunk(_waveforms, inner_on_device=False),
        model="self.config.model_type", device="self.device",
        sample_rate=rate, when=when, facts={names.SEGMENT_COUNT: _utterances},
    )  # fmt: skip


ENGINE = Engine(
    name="transformers",
    module="transformers.pipelines.text_to_audio",
    distribution="transformers",
    entries=(
        Entry(
            "TextToAudioPipeline.__call__",
            text=_texts,
            chunk=Chunk(_results),
            model="self.model.config.model_type",
            device="self.device",
            sample_rate="self.sampling_rate",
            when=_is_eager,
        ),
        _entry(_VITS, "VitsModel.forward", "self.config.sampling_rate", _has_no_labels),
        _entry(_SPEECHT5, "SpeechT5ForTextToSpeech.generate_speech", "vocoder.config.sampling_rate", _makes_waveform),
        _entry(_SPEECHT5, "SpeechT5ForTextToSpeech.generate", "vocoder.config.sampling_rate", _makes_waveform),
        _entry(_BARK, "BarkModel.generate", "self.generation_config.sample_rate"),
        _entry(_CSM, "CsmForConditionalGeneration.generate", "self.config.codec_config.sampling_rate", _outputs_audio),
    ),
    seams=(
        Seam("TextToAudioPipeline.preprocess", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("TextToAudioPipeline.postprocess", Stage.POSTPROCESS),
        Seam("VitsTextEncoder.forward", Stage.ACOUSTIC_MODEL, module=_VITS),
        Seam("VitsStochasticDurationPredictor.forward", "duration", module=_VITS),
        Seam("VitsDurationPredictor.forward", "duration", module=_VITS),
        Seam("VitsResidualCouplingBlock.forward", "flow", module=_VITS),
        Seam("VitsHifiGan.forward", Stage.VOCODER, module=_VITS),
        # runs a vocoder that it was given inside
        Seam("_generate_speech", Stage.ACOUSTIC_MODEL, module=_SPEECHT5, finish=_frames),
        Seam("SpeechT5HifiGan.forward", Stage.VOCODER, module=_SPEECHT5),
        Seam("BarkSemanticModel.generate", Stage.ACOUSTIC_MODEL, module=_BARK, finish=_semantic),
        Seam("BarkCoarseModel.generate", "coarse", module=_BARK),
        Seam("BarkFineModel.generate", "fine", module=_BARK),
        Seam("BarkModel.codec_decode", Stage.VOCODER, module=_BARK),
    ),
)

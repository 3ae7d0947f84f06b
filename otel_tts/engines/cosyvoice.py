# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""CosyVoice 1, 2 and 3 (a source checkout): a language model in a thread of its own makes tokens, a flow makes mel of
them, HiFT the waveform.

Every entry is a generator. While the language model is at work in its thread, a stream already takes flow and HiFT over
what there is of the tokens: stages overlap, and their spans say so. What the thread raises nobody hears of: the call
returns whatever there was (or, streaming, waits for ever).
"""

from __future__ import annotations

from otel_tts import names
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage

_FLOW = "flow"
"""Tokens to mel: a stage beside the language model's, so that the two can be told apart."""


def _model(call: Call) -> str:
    return type(call.instance).__name__.lower()


def _source(call: Call) -> str:
    return "preset" if call.arguments.get("spk_id") or call.arguments.get("zero_shot_spk_id") else "reference"


def _voice(call: Call) -> object:
    """A known speaker's name or the reference's path; a reference that is samples already has no name."""
    return call.arguments.get("spk_id") or call.arguments.get("zero_shot_spk_id") or call.arguments.get("prompt_wav")


def _finish(call: Call, item: object, items: int) -> Finish:
    """A token each; as many times the text's own as it may be at the most."""
    given = call.arguments
    return Finish(items, int(given["text"].shape[1] * given.get("max_token_text_ratio", 20)))


def _entry(target: str, text: str | None = "tts_text", optional: bool = False) -> Entry:
    return Entry(
        target,
        text=text,
        chunk=Chunk(samples="tts_speech"),
        kinds=("generator",),
        voice=_voice,
        model=_model,
        device="self.model.device",
        sample_rate="self.sample_rate",
        facts={names.VOICE_SOURCE: _source},
        optional=optional,
    )


_FRONTEND = "cosyvoice.cli.frontend"
_MODEL = "cosyvoice.cli.model"

ENGINE = Engine(
    name="cosyvoice",
    module="cosyvoice.cli.cosyvoice",
    distribution="",
    channels=1,
    hides_errors=True,
    load=("CosyVoice.__init__", "CosyVoice2.__init__", "CosyVoice3.__init__"),
    entries=(
        _entry("CosyVoice.inference_sft"),
        _entry("CosyVoice.inference_zero_shot"),
        _entry("CosyVoice.inference_cross_lingual"),
        _entry("CosyVoice.inference_instruct"),
        _entry("CosyVoice.inference_vc", text=None),
        _entry("CosyVoice2.inference_instruct2", optional=True),
    ),
    seams=(
        Seam("CosyVoiceFrontEnd.text_normalize", Stage.TEXT_FRONTEND, module=_FRONTEND, device="cpu"),
        Seam("CosyVoiceFrontEnd._extract_text_token", Stage.TEXT_FRONTEND, module=_FRONTEND, device="cpu", fold=True),
        Seam("CosyVoiceFrontEnd._extract_speech_feat", Stage.REFERENCE_ENCODE, module=_FRONTEND),
        Seam("CosyVoiceFrontEnd._extract_speech_token", Stage.REFERENCE_ENCODE, module=_FRONTEND),
        Seam("CosyVoiceFrontEnd._extract_spk_embedding", Stage.REFERENCE_ENCODE, module=_FRONTEND),
        # One call for each segment, in its own thread and on a stream of its own.
        Seam("CosyVoiceModel.llm_job", Stage.ACOUSTIC_MODEL, module=_MODEL, streams="self.llm_context.stream"),
        # A generator of tokens inside it, of which the silent ones are not all taken. A text that comes in pieces goes
        # another way, which has no limit.
        Seam("TransformerLM.inference", "llm", module="cosyvoice.llm.llm", finish=_finish),
        Seam("Qwen2LM.inference", "llm", module="cosyvoice.llm.llm", finish=_finish, optional=True),
        # Once for each chunk of a stream: one span for all of them. The classes are those that the models' files name.
        Seam("MaskedDiffWithXvec.inference", _FLOW, module="cosyvoice.flow.flow", fold=True),
        Seam("CausalMaskedDiffWithXvec.inference", _FLOW, module="cosyvoice.flow.flow", fold=True, optional=True),
        Seam("CausalMaskedDiffWithDiT.inference", _FLOW, module="cosyvoice.flow.flow", fold=True, optional=True),
        Seam("HiFTGenerator.inference", Stage.VOCODER, module="cosyvoice.hifigan.generator", fold=True),
        Seam(
            "CausalHiFTGenerator.inference",
            Stage.VOCODER,
            module="cosyvoice.hifigan.generator",
            fold=True,
            optional=True,
        ),
    ),
)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""GPT-SoVITS (a source checkout): a GPT makes semantic tokens, SoVITS the waveform (v3 and v4: a flow, then a vocoder).

The pipeline's module is `TTS_infer_pack.TTS` for its own web page and `GPT_SoVITS.TTS_infer_pack.TTS` for its server;
the modules below are always imported by the first kind of name. A request that is no stream is taken one item from and
dropped. On an exception the pipeline yields a second of silence, and raises only if somebody asks for more: the server
answers such a request with status 200 and the silence.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage


def _is_whole(call: Call, item: Any) -> bool:
    inputs = call.arguments["inputs"]
    return not (inputs.get("streaming_mode") or inputs.get("return_fragment"))


def _makes_all(call: Call, item: Any) -> bool:
    return not call.arguments.get("streaming_mode")


def _model(call: Call) -> str:
    return f"gpt-sovits-{call.instance.configs.version}"


def _streams(call: Call) -> bool:
    return not _is_whole(call, None)


def _reuses_reference(call: Call) -> bool | None:
    """The pipeline keeps what it made of the last reference; on a hit there is no stage for it."""
    path = call.arguments["inputs"].get("ref_audio_path")
    return path in (None, "") or path == call.instance.prompt_cache["ref_audio_path"]


def _sentences(call: Call) -> int:
    return len(call.arguments["x"])


_STEPS = 1500
"""As many at the most, whatever `early_stop_num` allows."""


def _limit(call: Call) -> int:
    early = call.arguments.get("early_stop_num", -1)
    return _STEPS if early == -1 else min(_STEPS, early + 1)


def _batch_finish(call: Call, result: Any, items: int) -> Finish | None:
    """Where each sentence has ended, from 0 on; without a prompt the other way is taken, which says so itself."""
    return None if call.arguments["prompts"] is None else Finish(max(result[1]) + 1, _limit(call))


def _finish(call: Call, item: Any, items: int) -> Finish | None:
    """Prompt and tokens in one row; a stream's pieces do not tell how many they are together."""
    given = call.arguments
    if given.get("streaming_mode"):
        return None
    before = 0 if given["prompts"] is None else given["prompts"].shape[1]
    return Finish(item[0].shape[1] - before, _limit(call))


_TEXT = "TTS_infer_pack.TextPreprocessor"
_GPT = "AR.models.t2s_model"

ENGINE = Engine(
    name="gpt-sovits",
    module="TTS_infer_pack.TTS",
    prefixes=("GPT_SoVITS",),
    distribution="",
    channels=1,
    hides_errors=True,
    load=("TTS.__init__", "TTS.init_t2s_weights", "TTS.init_vits_weights"),
    entries=(
        Entry(
            "TTS.run",
            text="inputs.text",
            chunk=Chunk(samples=1, rate=0),
            kinds=("generator",),
            voice="inputs.ref_audio_path",
            model=_model,
            language="inputs.text_lang",
            device="self.configs.device",
            facts={
                names.VOICE_SOURCE: lambda _: "reference",
                names.REFERENCE_CACHE_HIT: _reuses_reference,
                names.STREAM: _streams,
            },
            last=_is_whole,
        ),
    ),
    seams=(
        Seam("TTS._get_ref_spec", Stage.REFERENCE_ENCODE),
        Seam("TTS._set_prompt_semantic", Stage.REFERENCE_ENCODE),
        Seam("SV.compute_embedding3", Stage.REFERENCE_ENCODE, optional=True),
        Seam("TextPreprocessor.preprocess", Stage.TEXT_FRONTEND, module=_TEXT),
        Seam("TextPreprocessor.pre_seg_text", Stage.TEXT_FRONTEND, module=_TEXT, device="cpu"),
        Seam("TextPreprocessor.segment_and_extract_feature_for_text", Stage.TEXT_FRONTEND, module=_TEXT, fold=True),
        Seam("TTS.to_batch", Stage.TEXT_FRONTEND, fold=True),
        # `run` puts one of these on the instance as `infer_panel` for each request: hooked on the class before.
        Seam(
            "Text2SemanticDecoder.infer_panel_batch_infer",
            Stage.ACOUSTIC_MODEL,
            module=_GPT,
            segments=_sentences,
            finish=_batch_finish,
        ),
        Seam("Text2SemanticDecoder.infer_panel_naive_batched", Stage.ACOUSTIC_MODEL, module=_GPT, segments=_sentences),
        Seam(
            "Text2SemanticDecoder.infer_panel_naive", Stage.ACOUSTIC_MODEL, module=_GPT, last=_makes_all, finish=_finish
        ),
        Seam("SynthesizerTrn.decode", Stage.VOCODER),
        Seam("SynthesizerTrn.decode_streaming", Stage.VOCODER, fold=True, optional=True),
        Seam("TTS.using_vocoder_synthesis", Stage.VOCODER, optional=True),
        Seam("TTS.using_vocoder_synthesis_batched_infer", Stage.VOCODER, optional=True),
        Seam("TTS.audio_postprocess", Stage.POSTPROCESS, fold=True),
    ),
)

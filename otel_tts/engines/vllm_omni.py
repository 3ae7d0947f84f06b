# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM-Omni's front end of /v1/audio/speech: it prepares a request, and its models run in processes of their own.

An error is answered, not raised. A stream goes on as the body of the answer, after the call has returned. The samples
are those that are encoded: before the speed and the rate that were asked for. How the talker ended stands in the last
output's metrics. The front end gives the engine no trace headers, though that takes them. A WebSocket's sentences are
prepared before their call: of them length and audio are seen.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.given import path
from otel_tts.engines.kept import kept
from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Keep, Seam, Stage

_REASONS = {"stop": "stop", "length": "length", "abort": "aborted"}
_DEFAULT = "default"
"""The name of a voice that stands for none."""


def _named(call: Call) -> str | None:
    name = call.arguments["request"].voice
    return name if name and name.lower() != _DEFAULT else None


def _voice(call: Call) -> str | None:
    return path(call.arguments["request"].ref_audio) or _named(call)


def _source(call: Call) -> str:
    return "reference" if call.arguments["request"].ref_audio else "preset" if _named(call) else "default"


def _language(call: Call) -> str | None:
    return tag(call.arguments["request"].language)


def _streams(call: Call) -> bool:
    return call.arguments["request"].is_streaming()


def _status(answer: Any) -> int | None:
    """An answer of its own kind, or a web framework's; of what streams the status was sent before."""
    status = getattr(getattr(answer, "error", None), "code", None) or getattr(answer, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _finish(call: Call, output: Any, items: int) -> Finish | None:
    """The talker is the first stage; the last output has the metrics of all."""
    stages: dict[Any, dict[str, Any]] = output.metrics.get("stage_metrics") or {}
    talker = stages.get("0") or stages.get(0) or {}
    reason = _REASONS.get(str(talker.get("finish_reason")), "")
    return Finish(talker.get("num_tokens_out"), reason=reason)


def _characters(call: Call) -> int:
    return len(call.arguments["request"].input)


def _known_length(call: Call) -> int | None:
    return kept(call.arguments["generator"])


def _entry(target: str, error: Any = None, body: str | None = None) -> Entry:
    return Entry(
        f"OmniOpenAIServingSpeech.{target}", text="request.input", chunk=None, kinds=("coroutine",), voice=_voice,
        model="request.model", language=_language, error=error, body=body,
        facts={names.VOICE_SOURCE: _source, names.STREAM: _streams},
    )  # fmt: skip


_CLIENT = "vllm_omni.entrypoints.async_omni"

ENGINE = Engine(
    name="vllm-omni",
    module="vllm_omni.entrypoints.openai.serving_speech",
    distribution="vllm-omni",
    seconds_per_character=(0.01, 1.0),
    keeps=(Keep("OmniOpenAIServingSpeech._prepare_speech_generation", _characters),),
    load=(f"{_CLIENT}:AsyncOmni.__init__",),
    entries=(
        _entry("create_speech", _status, "body_iterator"),
        _entry("_generate_audio_bytes"),  # a batch's items, each a synthesis
        Entry("OmniOpenAIServingSpeech._generate_audio_chunks", text=None, chunk=None, kinds=("async generator",),
              facts={names.TEXT_LENGTH: _known_length}),
        Entry("AudioMixin.create_audio", module="vllm_omni.entrypoints.openai.audio_utils_mixin", text=None,
              chunk=Chunk(samples="audio_obj.audio_tensor", rate="audio_obj.sample_rate", given=True)),
    ),
    seams=(
        Seam("OmniOpenAIServingSpeech._resolve_ref_audio_array", Stage.REFERENCE_ENCODE, device="cpu", optional=True),
        Seam("AsyncOmni.generate", Stage.REMOTE, module=_CLIENT, device="cpu", attempts=True, finish=_finish,
             facts={names.REMOTE_ID: "request_id"}),
        Seam("AsyncOmniEngine.add_request_async", Stage.TEXT_FRONTEND, module="vllm_omni.engine.async_omni_engine",
             device="cpu", headers="trace_headers"),
    ),
)  # fmt: skip

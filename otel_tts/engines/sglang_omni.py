# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""SGLang-Omni's front end of /v1/audio/speech: a client hands a request to processes that talk by ZeroMQ.

All kinds of requests come through one client; speech says that it is. A stream's last item may have the whole once
more. Why it ended is the model's word, or nobody's: a reason that the client fills in counts for none. No trace headers
go on: its messages have no place for them. The id of the answer is the one in the logs of its processes.
"""

from __future__ import annotations

from typing import Any, cast

from otel_tts import names
from otel_tts.engines.given import path
from otel_tts.engines.kept import keep, kept
from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage

_REASONS = {"stop": "stop", "eos": "stop", "length": "length", "abort": "aborted"}
_DEFAULT = "default"


def _is_speech(call: Call) -> bool:
    return call.arguments["request"].metadata.get("task") == "tts"


def _asked(call: Call) -> dict[str, Any]:
    return call.arguments["request"].metadata.get("tts_params") or {}


def _text(call: Call) -> Any:
    prompt = call.arguments["request"].prompt
    return cast("dict[str, Any]", prompt).get("text") if isinstance(prompt, dict) else prompt


def _references(call: Call) -> list[dict[str, Any]]:
    prompt = call.arguments["request"].prompt
    return cast("dict[str, Any]", prompt).get("references") or [] if isinstance(prompt, dict) else []


def _named(call: Call) -> str | None:
    name = _asked(call).get("voice")
    return name if name and name.lower() != _DEFAULT else None


def _voice(call: Call) -> str | None:
    given = _references(call)
    return (path(given[0].get("audio_path")) if given else None) or _named(call)


def _source(call: Call) -> str:
    return "reference" if _references(call) else "preset" if _named(call) else "default"


def _language(call: Call) -> str | None:
    return tag(_asked(call).get("language"))


def _streams(call: Call) -> bool:
    return bool(call.arguments["request"].stream)


def _new(call: Call, chunk: Any) -> Any:
    """What the chunk adds. Of a stream the last one, which has a reason, is the whole or nothing new."""
    samples, request = chunk.audio_data, call.arguments["request"]
    if samples is None or (chunk.finish_reason is not None and request.stream and kept(request)):
        return None
    if not kept(request):
        keep(request, True)
    return samples


def _finish(call: Call, chunk: Any, items: int) -> Finish | None:
    usage = chunk.usage
    return Finish(
        None if usage is None else usage.completion_tokens,
        call.arguments["request"].sampling.max_new_tokens,
        _REASONS.get(chunk.reported_finish_reason) or "",
    )


def _entry(target: str, chunk: Chunk | None, kind: str, finish: Any = None) -> Entry:
    return Entry(
        target, text=_text, chunk=chunk, kinds=(kind,), voice=_voice, model="request.model", language=_language,
        facts={names.VOICE_SOURCE: _source, names.STREAM: _streams}, when=_is_speech, finish=finish,
    )  # fmt: skip


_COORDINATOR = "sglang_omni.pipeline.coordinator"
_ID = {names.REMOTE_ID: "request_id"}

ENGINE = Engine(
    name="sglang-omni",
    module="sglang_omni.client.client",
    distribution="sglang-omni",
    seconds_per_character=(0.01, 1.0),
    entries=(
        _entry("Client.generate", Chunk(select=_new, rate="sample_rate"), "async generator", _finish),
        _entry("Client.speech", None, "coroutine"),
    ),
    seams=(
        Seam("Coordinator.stream", Stage.REMOTE, module=_COORDINATOR, device="cpu", facts=_ID),
        Seam("Coordinator.submit", Stage.REMOTE, module=_COORDINATOR, device="cpu", facts=_ID),
        Seam("encode_audio", Stage.POSTPROCESS, device="cpu"),
    ),
)

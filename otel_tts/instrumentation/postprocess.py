# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Encoding and writing audio is a stage: soundfile, wave, pydub, ffmpeg as a process.

A service usually encodes after the engine has returned, so the stage belongs to the request's newest synthesis even
when that is over; outside of any request nothing is made. All calls of a request fold into one span: a file may be
written chunk by chunk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from otel_tts import request
from otel_tts.guard import contain
from otel_tts.instrumentation.hooks import wrap_after_import
from otel_tts.instrumentation.stages import run_stage
from otel_tts.names import Stage
from otel_tts.synthesis import Synthesis, current

_CALLS: Final = (
    ("soundfile", "write"),
    ("soundfile", "SoundFile.write"),
    ("wave", "Wave_write.writeframes"),
    ("wave", "Wave_write.writeframesraw"),
    ("pydub.audio_segment", "AudioSegment.export"),
)
_PROGRAMS: Final = frozenset({"ffmpeg", "sox", "lame", "oggenc", "opusenc"})


def watch_postprocess() -> None:
    """Wrap the encoders after their import."""
    for module, target in _CALLS:
        wrap_after_import(module, target, _encode)
    wrap_after_import("subprocess", "run", _run_program)


def _encode(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _as_stage(wrapped, args, kwargs)


def _run_program(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not contain("postprocess", _encodes_audio, args, kwargs):
        return wrapped(*args, **kwargs)
    return _as_stage(wrapped, args, kwargs)


def _encodes_audio(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    command: Any = args[0] if args else kwargs.get("args")
    if isinstance(command, (list, tuple)):  # anything else that can be iterated would be used up by looking
        program: Any = command[0] if command else ""  # pyright: ignore[reportUnknownVariableType]
    else:
        program = command
    if not isinstance(program, (str, bytes, os.PathLike)):
        return False
    words = os.fsdecode(program).split(None, 1)  # pyright: ignore[reportUnknownArgumentType]
    return bool(words) and os.path.basename(words[0]) in _PROGRAMS


def _as_stage(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    synthesis = contain("postprocess", _synthesis)
    if synthesis is None or any(stage.stage == Stage.POSTPROCESS for stage in synthesis.open_stages):
        return call(*args, **kwargs)
    return run_stage(Stage.POSTPROCESS, call, args, kwargs, synthesis=synthesis, fold=True, device="cpu")


def _synthesis() -> Synthesis | None:
    inside = current()
    if inside is not None:
        return inside
    web = request.current.get()
    return web.synthesis if web is not None else None

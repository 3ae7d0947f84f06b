# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Encoding and writing audio is a stage: soundfile, wave, scipy, torchaudio, pydub, ffmpeg as a process; so is piper as
a process, inside a synthesis.

A service usually encodes after the engine has returned, so the stage belongs to the request's newest synthesis even
when that is over; outside of any request nothing is made. All calls of a request fold into one span: a file may be
written chunk by chunk. A file that was written is noted once it is finished (see `otel_tts.recording.delivered`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.calls.seam import run_stage
from otel_tts.instrumentation.wrapping import wrap_after_import
from otel_tts.names import Stage
from otel_tts.recording import pieces
from otel_tts.recording.delivered import current_synthesis, note_file
from otel_tts.recording.synthesis import Synthesis

_CALLS: Final = (
    ("soundfile", "write", ""),
    ("soundfile", "SoundFile.write", ""),
    ("wave", "Wave_write.writeframes", ""),
    ("wave", "Wave_write.writeframesraw", ""),
    ("scipy.io.wavfile", "write", "filename"),
    ("torchaudio", "save", "uri"),
    ("pydub.audio_segment", "AudioSegment.export", "out_f"),
)
"""Encoders: module, name, and the argument that names the file, the first one, where the call finishes it."""
_PROGRAMS: Final = frozenset({"ffmpeg", "sox", "lame", "oggenc", "opusenc"})
_SPEAKERS: Final = frozenset({"piper", "piper.exe"})
"""Programs that speak: inside a synthesis they are the stage that waits for another process."""


def watch_postprocess() -> None:
    """Wrap the encoders after their import."""
    for module, target, argument in _CALLS:
        wrap_after_import(module, target, _encoder(argument))
    wrap_after_import("soundfile", "SoundFile.close", _closer(_written_by_soundfile))
    wrap_after_import("wave", "Wave_write.close", _closer(_written_by_wave))
    wrap_after_import("subprocess", "run", _run_program)


def _encoder(argument: str) -> Callable[..., Any]:
    def encode(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = _as_stage(wrapped, args, kwargs)
        if argument:
            note_file(None, args[0] if args else kwargs.get(argument))
        return result

    return encode


def _closer(written: Callable[[Any], Any]) -> Callable[..., Any]:
    """Note the file that closing finishes; `written` says its name beforehand, None where nothing was written."""

    def close(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = contain("postprocess", written, instance)
        result = wrapped(*args, **kwargs)
        if name is not None:
            note_file(None, name)
        return result

    return close


def _written_by_soundfile(file: Any) -> Any:
    return file.name if not file.closed and file.mode != "r" else None


def _written_by_wave(writer: Any) -> Any:
    """The name of the open file, or the buffer in memory. Private, and gone once it is closed."""
    file = getattr(writer, "_file", None)
    return file if isinstance(file, io.BytesIO) else getattr(file, "name", None)


def _run_program(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    program = contain("postprocess", _program, args, kwargs)
    if program in _SPEAKERS:
        return run_stage(Stage.REMOTE, wrapped, args, kwargs, device="cpu")
    if program not in _PROGRAMS:
        return wrapped(*args, **kwargs)
    try:
        return _as_stage(wrapped, args, kwargs)
    finally:  # a file that an encoder left half written is delivered all the same, or is not there
        note_file(None, contain("postprocess", _output_of, args, kwargs))


def _output_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The file that an encoder's command names: its last word, unless that is the input."""
    command: Any = args[0] if args else kwargs.get("args")
    words: list[Any] = list(command) if isinstance(command, (list, tuple)) else []  # pyright: ignore[reportUnknownArgumentType]
    if len(words) < 2 or words[-2] in ("-i", b"-i") or kwargs.get("cwd") is not None:
        return None
    return words[-1]


def _program(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The name of the program that is run, without its folder."""
    command: Any = args[0] if args else kwargs.get("args")
    if isinstance(command, (list, tuple)):  # anything else that can be iterated would be used up by looking
        program: Any = command[0] if command else ""  # pyright: ignore[reportUnknownVariableType]
    else:
        program = command
    if not isinstance(program, (str, bytes, os.PathLike)):
        return None
    words = os.fsdecode(program).split(None, 1)  # pyright: ignore[reportUnknownArgumentType]
    return os.path.basename(words[0]) if words else None


def _owner() -> Synthesis | None:
    """The synthesis whose stage it is; None too where an encoder around this one is that stage already."""
    synthesis = current_synthesis()
    if synthesis is None or any(stage.stage == Stage.POSTPROCESS for stage in synthesis.stages.open):
        return None
    return synthesis


def _as_stage(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    synthesis = contain("postprocess", _owner)
    if synthesis is None:
        return _call_apart(call, args, kwargs)
    return run_stage(Stage.POSTPROCESS, call, args, kwargs, synthesis=synthesis, fold=True, device="cpu")


def _call_apart(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    began = contain("postprocess", pieces.begin)
    try:
        return call(*args, **kwargs)
    finally:
        if began is not None:
            contain("postprocess", pieces.note, Stage.POSTPROCESS, began)

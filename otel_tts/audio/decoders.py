# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
# soundfile and PyAV are optional and carry few types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingImports=false
# pyright: reportUnknownParameterType=false
"""Decoding a file to its end, to find out whether that works: soundfile, PyAV or ffprobe, whichever is there.

None of them is required. PyAV goes before ffprobe only where the service has loaded it itself: two copies of FFmpeg's
libraries in one process have been known to quarrel, and ffprobe is a process of its own.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np

from otel_tts.audio.quality import AudioMeter

BUDGET: Final = 2.0
"""Seconds of work on one file in this process; what is decoded by then has to do."""
MAX_SECONDS: Final = 600.0
"""Seconds of audio that are decoded at most."""
PROBE_TIMEOUT: Final = 10.0
"""Seconds for ffprobe."""

_PROBED: Final = {
    "wav": "wav", "mp3": "mp3", "ogg": "ogg", "flac": "flac", "mov": "m4a", "aac": "aac", "aiff": "aiff",
    "matroska": "webm", "caf": "caf", "au": "au",
}  # fmt: skip
"""Formats that PyAV and ffprobe may look for, and their names here: a playlist would make them open other files."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder found. A `format` of None: it knows the common formats, and this is none of them."""

    format: str | None = None
    duration: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    damaged: bool = False
    whole: bool = False
    """It came to the end within its budget."""


Decoder = Callable[[int, AudioMeter | None, Callable[[], float]], "Decoded | None"]
"""Decodes an open file and feeds the meter; None where it cannot."""


def decode(
    fd: int, format: str | None, meter: AudioMeter | None, clock: Callable[[], float] = time.monotonic
) -> Decoded | None:
    """Decode an open file with the first decoder that can; None where none is there."""
    for decoder in _order(format, meter is not None):
        if meter is not None and meter.chunks:
            break  # one of them has begun: the meter is for one piece of audio
        os.lseek(fd, 0, os.SEEK_SET)
        decoded = decoder(fd, meter, clock)
        if decoded is not None:
            return decoded
    if format != "wav":
        _say_missing()
    return None


def _order(format: str | None, measure: bool) -> tuple[Decoder, ...]:
    """Who shows the samples goes first where they are wanted, else who sees most of that codec's errors.

    libsndfile finds broken FLAC that ffprobe passes, and passes broken MP3 and Opus; of bad MP3 it writes on stderr.
    """
    lavc = (_with_av, _with_ffprobe) if "av" in sys.modules else (_with_ffprobe, _with_av)
    if measure:
        return (_with_soundfile, _with_wave, *lavc)
    return (_with_soundfile, *lavc) if format == "flac" else (*lavc, _with_soundfile)


@functools.cache
def _say_missing() -> None:
    logging.getLogger("otel_tts").warning(
        "otel-tts: found no ffprobe, and neither soundfile nor PyAV reads a file that was delivered; its header is "
        "read all the same, errors of its codec are not seen. Install ffmpeg, or soundfile and av (otel-tts[audio])"
    )


def _optional(name: str) -> Any:
    try:
        return import_module(name)
    except (ImportError, OSError):  # OSError: its native library is missing
        return None


def _with_soundfile(fd: int, meter: AudioMeter | None, clock: Callable[[], float]) -> Decoded | None:
    soundfile = _optional("soundfile")
    if soundfile is None:
        return None
    try:
        sound = soundfile.SoundFile(fd, closefd=False)
    except (soundfile.SoundFileError, RuntimeError, TypeError):  # a format that libsndfile does not have
        return None
    with sound:
        rate, deadline, frames, damaged, whole = sound.samplerate, clock() + BUDGET, 0, False, False
        while clock() < deadline and frames < MAX_SECONDS * rate:
            try:
                block = sound.read(rate // 2 or 1, dtype="float32")
            except (soundfile.SoundFileError, RuntimeError):
                damaged = whole = True
                break
            if not len(block):
                whole = True
                break
            frames += len(block)
            if meter is not None:
                meter.add(block, rate)
            time.sleep(0)
        name = {"WAVEX": "wav", "RF64": "wav"}.get(sound.format, sound.format.lower())
        return Decoded(name, frames / rate, rate, sound.channels, damaged, whole)


def _with_wave(fd: int, meter: AudioMeter | None, clock: Callable[[], float]) -> Decoded | None:
    if meter is None:
        return None
    try:
        with open(fd, "rb", closefd=False) as file, wave.open(file) as sound:
            rate, width, channels, frames = sound.getframerate(), sound.getsampwidth(), sound.getnchannels(), 0
            deadline = clock() + BUDGET
            while clock() < deadline and frames < MAX_SECONDS * rate:
                data = sound.readframes(rate // 2 or 1)
                if not data:
                    return Decoded("wav", frames / rate, rate, channels, whole=True)
                meter.add_pcm(data, width, channels, rate)
                frames += len(data) // (width * channels)
            return Decoded("wav", frames / rate, rate, channels)
    except (wave.Error, EOFError, ValueError, ZeroDivisionError):  # no WAV, or one of floats
        return None


def _with_av(fd: int, meter: AudioMeter | None, clock: Callable[[], float]) -> Decoded | None:
    av = _optional("av")
    if av is None:
        return None
    with open(fd, "rb", closefd=False) as file:
        try:
            source = av.open(file, options={"format_whitelist": ",".join(_PROBED), "protocol_whitelist": "file"})
        except (av.error.FFmpegError, ValueError):
            return Decoded()
        with source:
            if not source.streams.audio:
                return Decoded()
            return _decode_av(av, source, meter, clock() + BUDGET, clock)


def _decode_av(
    av: Any, source: Any, meter: AudioMeter | None, deadline: float, clock: Callable[[], float]
) -> Decoded | None:
    stream = source.streams.audio[0]
    rate, channels = stream.rate, stream.codec_context.channels
    frames, damaged, whole = 0, False, False
    try:
        for frame in source.decode(stream):
            frames += frame.samples
            if meter is not None:
                values = frame.to_ndarray()
                packed = values.reshape(-1, channels) if not frame.format.is_planar else values
                meter.add(np.ascontiguousarray(packed), rate)
            if clock() >= deadline or frames >= MAX_SECONDS * rate:
                break
        else:
            whole = True
    except av.error.FFmpegError:
        damaged = whole = True
    found = _PROBED.get(source.format.name.split(",")[0])
    return Decoded(found, frames / rate if rate else None, rate, channels, damaged, whole)


def _with_ffprobe(fd: int, meter: AudioMeter | None, clock: Callable[[], float]) -> Decoded | None:
    """Let ffprobe decode: it says whether that worked, and what the header says; the samples stay with it.

    The file has no name here but its descriptor's, so that no path gets on a command line.
    """
    program = shutil.which("ffprobe")
    if program is None:
        return None
    command = [
        program, "-v", "error", "-threads", "1", "-protocol_whitelist", "file", "-format_whitelist", ",".join(_PROBED),
        "-select_streams", "a:0", "-count_frames", "-read_intervals", f"%+{MAX_SECONDS:g}", "-of", "json",
        "-show_entries", "stream=sample_rate,channels,nb_read_frames,duration:format=format_name,duration",
        f"/dev/fd/{fd}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_TIMEOUT, pass_fds=(fd,), check=False
        )
        answer = json.loads(done.stdout or b"{}")
        container: dict[str, Any] = answer.get("format") or {}
        stream: dict[str, Any] = (answer.get("streams") or [{}])[0]
    except (OSError, subprocess.SubprocessError, ValueError, AttributeError):
        return None
    found = _PROBED.get(container.get("format_name", "").split(",")[0])
    if found is None or not stream:
        return Decoded()
    return Decoded(
        found, _number(stream.get("duration") or container.get("duration")),
        int(_number(stream.get("sample_rate")) or 0) or None, stream.get("channels"),
        bool(done.stderr.strip()) or stream.get("nb_read_frames") == "0",
    )  # fmt: skip


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None

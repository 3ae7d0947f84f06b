# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
# soundfile and PyAV are optional and carry few types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingImports=false
# pyright: reportUnknownParameterType=false
"""Decoding a file to its end, to find out whether that works: soundfile, PyAV or ffprobe, whichever is there.

None of them is required, and how long a file is does not depend on them where `header` reads it. What cannot
be decoded is left out, as players do, and counted. PyAV goes before ffprobe only where the service has loaded it:
two copies of FFmpeg's libraries in one process have been known to quarrel, and ffprobe is a process of its own.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from otel_tts.audio.files.header import ContainerFacts
from otel_tts.audio.samples.meter import AudioMeter

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

BUDGET_S: Final = 2.0
"""Seconds of work on one file in this process; what is decoded by then has to do."""
MAX_DURATION_S: Final = 600.0
"""Seconds of audio that are decoded at most."""
PROBE_TIMEOUT_S: Final = 10.0
"""Seconds that ffprobe is given for one file."""
_MAX_ERRORS: Final = 1000
"""Packets that cannot be decoded before PyAV is asked no more."""

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
    errors: int = 0
    """Packets, or complaints of the decoder, that it could not make sound of."""
    whole: bool = False
    """It came to the end within its budget."""


Decoder = Callable[[int, ContainerFacts | None, AudioMeter | None, Callable[[], float]], "Decoded | None"]
"""Decodes an open file, of which the header says this, and feeds the meter; None where it cannot."""


def decode(
    fd: int,
    header: ContainerFacts | None,
    format: str | None,
    meter: AudioMeter | None,
    clock: Callable[[], float] = time.monotonic,
) -> Decoded | None:
    """Decode an open file with the first decoder that can; None where none is there."""
    for decoder in _order(format, meter is not None, header is not None and header.links > 1):
        if meter is not None and meter.chunks:
            break  # one of them has begun: the meter is for one piece of audio
        os.lseek(fd, 0, os.SEEK_SET)
        decoded = decoder(fd, header, meter, clock)
        if decoded is not None:
            return decoded
    if format != "wav":
        _say_missing()
    return None


def _order(format: str | None, measure: bool, chained: bool) -> tuple[Decoder, ...]:
    """Who shows the samples goes first where they are wanted, else who sees most of that codec's errors.

    libsndfile finds broken FLAC that ffprobe passes, and passes broken MP3 and Opus; of bad MP3 it writes on stderr. Of
    a chain it sees the first link only.
    """
    lavc = (_with_av, _with_ffprobe) if "av" in sys.modules else (_with_ffprobe, _with_av)
    if measure:
        return (_with_av, _with_soundfile, _with_ffprobe) if chained else (_with_soundfile, *lavc)
    return (_with_soundfile, *lavc) if format == "flac" and not chained else (*lavc, _with_soundfile)


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


def _with_soundfile(
    fd: int, header: ContainerFacts | None, meter: AudioMeter | None, clock: Callable[[], float]
) -> Decoded | None:
    soundfile = _optional("soundfile")
    if soundfile is None:
        return None
    try:
        sound = soundfile.SoundFile(fd, closefd=False)
    except (soundfile.SoundFileError, RuntimeError, TypeError):  # a format that libsndfile does not have
        return None
    with sound:
        rate, deadline, frames, errors, whole = sound.samplerate, clock() + BUDGET_S, 0, 0, False
        length = _frames_of(header, sound)
        block = np.zeros((rate // 2 or 1, sound.channels), np.float32)
        while not whole and clock() < deadline and frames < MAX_DURATION_S * rate:
            try:
                read = len(sound.read(out=block))
            except (soundfile.SoundFileError, RuntimeError):
                # FLAC from a pipe: at the end soundfile seeks where libsndfile cannot, with the last block read.
                read = length - frames if frames < length <= frames + len(block) else 0
                errors += not read
                whole = bool(read) or errors > _MAX_ERRORS or not _skip(sound, len(block))
            else:
                whole = not read
            frames += read
            if meter is not None and read:
                meter.add(block[:read], rate)
            time.sleep(0)
        name = {"WAVEX": "wav", "RF64": "wav"}.get(sound.format, sound.format.lower())
        return Decoded(name, frames / rate, rate, sound.channels, errors, whole)


def _skip(sound: Any, frames: int) -> bool:
    """Go on behind what cannot be decoded; False where that does not work."""
    try:
        at = sound.tell()
        return sound.seek(at + frames) > at
    except (RuntimeError, ValueError, OSError):  # LibsndfileError is a RuntimeError
        return False


def _frames_of(header: ContainerFacts | None, sound: Any) -> int:
    """Samples of a file whose length libsndfile does not know, where its last frame tells it; else 0."""
    known = header is not None and header.duration is not None and header.links == 1
    if sound.frames < 1 << 62 or header is None or not known:
        return 0
    return round((header.duration or 0.0) * sound.samplerate)


def _with_av(
    fd: int, header: ContainerFacts | None, meter: AudioMeter | None, clock: Callable[[], float]
) -> Decoded | None:
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
            return _decode_av(av, source, meter, clock() + BUDGET_S, clock)


def _decode_av(
    av: Any, source: Any, meter: AudioMeter | None, deadline: float, clock: Callable[[], float]
) -> Decoded | None:
    stream = source.streams.audio[0]
    rate, channels = stream.rate, stream.codec_context.channels
    frames, errors, whole = 0, 0, False
    packets = source.demux(stream)
    while not whole and clock() < deadline and frames < MAX_DURATION_S * rate:
        decoded: list[Any] = []
        try:
            packet = next(packets, None)
            whole = packet is None
            decoded = packet.decode() if packet is not None else []
        except av.error.EOFError:  # asked once more behind the end
            whole = True
        except av.error.FFmpegError:
            errors += 1
            whole = errors > _MAX_ERRORS
        for frame in decoded:
            frames += frame.samples
            if meter is not None:
                values = frame.to_ndarray()
                packed = values.reshape(-1, channels) if not frame.format.is_planar else values
                meter.add(np.ascontiguousarray(packed), rate)
    found = _PROBED.get(source.format.name.split(",")[0])
    return Decoded(found, frames / rate if rate else None, rate, channels, errors, whole)


def _with_ffprobe(
    fd: int, header: ContainerFacts | None, meter: AudioMeter | None, clock: Callable[[], float]
) -> Decoded | None:
    """Let ffprobe decode: it says whether that worked, and what the header says.

    The file has no name here but its descriptor's, so that no path gets on a command line.
    """
    program = shutil.which("ffprobe")
    if program is None:
        return None
    command = [
        program, "-v", "error", "-threads", "1", "-protocol_whitelist", "file", "-format_whitelist", ",".join(_PROBED),
        "-select_streams", "a:0", "-count_frames", "-read_intervals", f"%+{MAX_DURATION_S:g}", "-of", "json",
        "-show_entries", "stream=sample_rate,channels,nb_read_frames,duration:format=format_name,duration",
        f"/dev/fd/{fd}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_TIMEOUT_S, pass_fds=(fd,), check=False
        )
        answer = json.loads(done.stdout or b"{}")
        container: dict[str, Any] = answer.get("format") or {}
        stream: dict[str, Any] = (answer.get("streams") or [{}])[0]
    except (OSError, subprocess.SubprocessError, ValueError, AttributeError):
        return None
    found = _PROBED.get(container.get("format_name", "").split(",")[0])
    if found is None or not stream:
        return Decoded()
    rate, channels = int(_number(stream.get("sample_rate")) or 0) or None, stream.get("channels")
    if meter is not None and rate and channels:
        _listen(fd, rate, channels, meter)
    return Decoded(
        found, _number(stream.get("duration") or container.get("duration")), rate, channels,
        len(done.stderr.splitlines()) or int(stream.get("nb_read_frames") == "0"),
    )  # fmt: skip


def _listen(fd: int, rate: int, channels: int, meter: AudioMeter) -> None:
    """Feed the meter with what ffmpeg decodes, where it stands beside ffprobe; it too gets a descriptor for a name."""
    program = shutil.which("ffmpeg")
    if program is None:
        return
    command = [
        program, "-v", "quiet", "-nostdin", "-threads", "1", "-protocol_whitelist", "file", "-format_whitelist",
        ",".join(_PROBED), "-i", f"/dev/fd/{fd}", "-map", "0:a:0", "-t", f"{MAX_DURATION_S:g}", "-f", "f32le",
        "-c:a", "pcm_f32le", "-ar", str(rate), "-ac", str(channels), "-",
    ]  # fmt: skip
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(fd,)
        )
    except OSError:
        return
    patience = threading.Timer(PROBE_TIMEOUT_S, process.kill)
    patience.daemon = True
    with process:
        try:
            patience.start()
        except RuntimeError:  # no more threads: then nobody would end it
            process.kill()
        while process.stdout is not None and (data := process.stdout.read((rate // 2 or 1) * channels * 4)):
            samples = np.frombuffer(data[: len(data) - len(data) % (4 * channels)], "<f4")
            meter.add(samples.reshape(-1, channels), rate)
        patience.cancel()


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None

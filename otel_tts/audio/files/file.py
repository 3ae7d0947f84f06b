# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Facts of a finished audio file, whatever its container: from its header, and from decoding it where that says more.

A file is opened where it is handed over, which costs a stat and an open, and read elsewhere: by then it may have been
moved or deleted. Its path is not kept. Decoding is bounded, and left to what the machine has: soundfile, PyAV, ffprobe.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from otel_tts.audio.files import pcm
from otel_tts.audio.files.decoders import Decoded, decode
from otel_tts.audio.files.excerpt import Excerpt
from otel_tts.audio.files.formats import View
from otel_tts.audio.files.header import ContainerFacts, read_header
from otel_tts.audio.files.wav import samples_of
from otel_tts.audio.samples.meter import AudioFacts, AudioMeter
from otel_tts.audio.thresholds import DEFAULTS, Thresholds

_CLAIMS: Final = {
    "wav": "wav", "wave": "wav", "mp3": "mp3", "ogg": "ogg", "oga": "ogg", "opus": "ogg", "flac": "flac",
    "m4a": "m4a", "m4b": "m4a", "mp4": "m4a", "aac": "aac", "aif": "aiff", "aiff": "aiff", "webm": "webm",
    "mka": "webm", "pcm": "pcm", "raw": "pcm",
}  # fmt: skip
"""What the end of a file's name says is in it."""
_SNIFFED: Final = frozenset({"wav", "mp3", "ogg", "flac", "m4a"})
"""Formats whose headers are read here."""
_TYPES: Final = {"mpeg": "mp3", "l16": "pcm", "vnd.wave": "wav"}
"""Media types whose second word is not also the end of a file's name."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of one file. None is unknown."""

    size: int
    """The file's length in bytes."""
    format: str | None = None
    duration: float | None = None
    """Seconds that are there, which may be less than promised."""
    sample_rate: int | None = None
    channels: int | None = None
    cut: bool = False
    """It ends before what its header promises."""
    errors: int = 0
    """Packets of it that cannot be decoded, or the decoder's complaints."""
    wrong_format: bool = False
    """It is not what its name claims, or no audio at all."""
    links: int = 1
    """Files in one, a sentence each: chained Ogg, MP3 and FLAC in a row."""
    audio: AudioFacts | None = None
    """Measured from the decoded samples."""


def claim_of_type(media_type: str) -> str | None:
    """Return what a media type says is in an answer; None for types that say nothing that we know."""
    word = media_type.partition(";")[0].strip().lower().rpartition("/")[2].removeprefix("x-")
    return _TYPES.get(word) or _CLAIMS.get(word)


def claim_of_name(name: str) -> str | None:
    """Return what the end of a file's name says is in it."""
    return _CLAIMS.get(os.path.splitext(name)[1][1:].lower())


class Changed(Exception):
    """Somebody has written to the file since it was handed over: it may hold another request's audio by now."""


class OpenFile:
    """A file to be read later: a descriptor, what its name claimed and its state. Closed when it is dropped."""

    __slots__ = ("claim", "fd", "state")

    def __init__(self, fd: int, claim: str | None) -> None:
        self.fd, self.claim = fd, claim
        _open.add(fd)
        self.state = state_of(fd)

    def close(self) -> None:
        """Give the descriptor back; doing it again does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            _open.discard(fd)
            os.close(fd)

    def __del__(self) -> None:
        self.close()


_open: Final[set[int]] = set()


def state_of(fd: int) -> tuple[int, int, int, int]:
    """Return device, inode, size and time of an open file: what tells it from another and from a later self."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def count_open() -> int:
    """Return how many files are held open."""
    return len(_open)


def open_file(path: str | bytes | os.PathLike[str]) -> OpenFile | None:
    """Open a file to read it later; None where there is no regular file (a pipe would wait, a device never end).

    Raises OSError where there is one that cannot be opened.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
    except (OSError, ValueError):
        return None
    claim = claim_of_name(os.fsdecode(path))
    return OpenFile(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), claim)


def read_file(file: OpenFile, measure: bool = False, thresholds: Thresholds = DEFAULTS) -> FileFacts:
    """Return the facts of `file`. With `measure` its samples are measured too, as far as the decoders' budget goes.

    Raises Changed, or OSError where it cannot be read.
    """
    size = file.state[2]
    if not size:
        facts = FileFacts(0, file.claim, duration=0.0)
    else:
        with open(file.fd, "rb", closefd=False) as opened:
            facts = _read(file, opened, size, measure, thresholds)
    if state_of(file.fd) != file.state:
        raise Changed
    return facts


def read_excerpt(excerpt: Excerpt) -> FileFacts:
    """Return the facts of audio that was never a file: what its header says, nothing is decoded."""
    claim = claim_of_type(excerpt.media_type) if excerpt.media_type else excerpt.claim
    if not excerpt.size:
        return FileFacts(0, claim, duration=0.0)
    header = read_header(excerpt.open(), excerpt.size)
    if claim == "pcm" and (header is None or header.format != "wav"):  # noise may look like a frame of MP3
        return FileFacts(excerpt.size, "pcm")
    facts = _joined(FileFacts(excerpt.size), header, None)
    return replace(facts, wrong_format=_is_wrong(facts.format, claim, None))


def _read(file: OpenFile, opened: BinaryIO, size: int, measure: bool, thresholds: Thresholds) -> FileFacts:
    header = read_header(opened, size)
    decoded = None
    meter = AudioMeter(thresholds=thresholds) if measure else None
    plain = header is not None and header.format == "wav" and header.duration is not None
    samples = samples_of(View(opened, size)) if plain and meter is not None else None
    if samples is not None and meter is not None:
        pcm.measure(opened, samples, meter, time.monotonic)
    elif meter is not None or not plain:
        decoded = decode(file.fd, header, header.format if header is not None else file.claim, meter, time.monotonic)
    facts = _joined(FileFacts(size), header, decoded)
    if facts.format is None and file.claim == "pcm":
        return replace(facts, format="pcm")
    if meter is not None and meter.chunks:
        facts = replace(facts, audio=meter.facts())
    return replace(facts, wrong_format=_is_wrong(facts.format, file.claim, decoded))


def _joined(facts: FileFacts, header: ContainerFacts | None, decoded: Decoded | None) -> FileFacts:
    if header is not None:
        facts = replace(
            facts, format=header.format, duration=header.duration, sample_rate=header.sample_rate,
            channels=header.channels, cut=header.cut, links=header.links,
        )  # fmt: skip
    if decoded is None or decoded.format is None:
        return facts
    seconds = facts.duration if facts.duration is not None else decoded.duration
    nothing = decoded.whole and not decoded.duration and bool(seconds)
    return replace(
        facts,
        format=facts.format or decoded.format,
        duration=seconds,
        sample_rate=facts.sample_rate or decoded.sample_rate,
        channels=facts.channels or decoded.channels,
        errors=max(0, decoded.errors - (facts.links - 1)) or int(nothing),  # a link's tags are no sound
    )


def _is_wrong(found: str | None, claim: str | None, decoded: Decoded | None) -> bool:
    if found is None:  # no header that we know: only who reads everything can say that it is nothing
        return claim in _SNIFFED or (decoded is not None and decoded.format is None)
    return claim is not None and found != claim

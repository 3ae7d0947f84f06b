# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an audio file's header says, whichever format it has, and how long a player plays it. Nothing is decoded."""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Callable
from typing import Final

from otel_tts.audio.files.flac import read_flac
from otel_tts.audio.files.formats import ContainerFacts, Readable, View
from otel_tts.audio.files.mp3 import read_mp3
from otel_tts.audio.files.mp4 import read_mp4
from otel_tts.audio.files.ogg import read_ogg
from otel_tts.audio.files.wav import read_wav

__all__ = ["ContainerFacts", "sniff"]

_READERS: Final[tuple[Callable[[View], ContainerFacts | None], ...]] = (
    read_wav, read_flac, read_ogg, read_mp4, read_mp3,
)  # fmt: skip
"""The one that is told by the weakest mark comes last."""


def sniff(data: bytes | str | os.PathLike[str], complete: bool = True) -> ContainerFacts | None:
    """Facts of the audio in a file, or in bytes; None when it is none of WAV, FLAC, Ogg, MP3, MP4 or cannot be read.

    With `complete=False` the bytes are only the head of what will be sent: then the size is unknown, and the duration
    too where the header was written before the length was known.
    """
    try:
        if isinstance(data, bytes):
            return read_header(io.BytesIO(data), len(data) if complete else None)
        # Opening a pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(data).st_mode):
            return None
        with open(data, "rb") as file:
            return read_header(file, os.fstat(file.fileno()).st_size if complete else None)
    except (OSError, ValueError, TypeError):
        return None


def read_header(file: Readable, size: int | None, deep: bool = True) -> ContainerFacts | None:
    """Facts of the audio in an open file of `size` bytes (None: more is to come); None when it is none that we know.

    `deep` False reads a few blocks only, however long the file: then what follows a first link is not found.
    """
    view = View(file, size, deep)
    for read in _READERS:
        try:
            if (facts := read(view)) is not None:
                return facts
        except (LookupError, ValueError, struct.error):  # cut off in the middle of its header
            continue
    return None

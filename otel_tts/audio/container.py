# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an audio file's header says, without reading its samples: WAV here, the others in `headers`."""

from __future__ import annotations

import io
import os
import stat
import struct
from dataclasses import replace
from typing import BinaryIO

from otel_tts.audio.headers import READERS, ContainerFacts

__all__ = ["ContainerFacts", "sniff"]

MAX_CHUNKS = 64
_SIZE_UNKNOWN = (0, 0xFFFFFFFF)
# Tags whose data is a row of samples of one size: PCM, float, A-law, mu-law, extensible (of one of these, in practice).
_SAMPLE_TAGS = (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE)


def sniff(data: bytes | str | os.PathLike[str], complete: bool = True) -> ContainerFacts | None:
    """Facts of the audio in a file, or in bytes; None when it is none of WAV, FLAC, Ogg, MP3, MP4 or cannot be read.

    With `complete=False` the bytes are only the head of what will be sent: then the size is unknown, and the duration
    too where the header was written before the length was known (sizes of 0 or 0xFFFFFFFF).
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


def read_header(file: BinaryIO, size: int | None) -> ContainerFacts | None:
    """Facts of the audio in an open file of `size` bytes (None: more is to come); None when it is none that we know."""
    for read in (_read_wav, *READERS):
        file.seek(0)
        try:
            if (facts := read(file, size)) is not None:
                return facts
        except (LookupError, ValueError, struct.error):  # cut off in the middle of its header
            continue
    return None


def _read_wav(file: BinaryIO, size: int | None) -> ContainerFacts | None:
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        return None
    facts = ContainerFacts(format="wav", size=size)
    frame_size: int | None = None
    for _ in range(MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        name, length = header[:4], int.from_bytes(header[4:], "little")
        if name == b"data":
            return _with_duration(facts, frame_size, length, file.tell())
        if name == b"fmt ":
            tag, channels, rate, _, frame_size, _ = struct.unpack("<HHIIHH", file.read(16))
            frame_size = frame_size if tag in _SAMPLE_TAGS and frame_size else None
            facts = ContainerFacts("wav", None, rate or None, channels or None, size)
            length -= 16
        file.seek(max(0, length + length % 2), os.SEEK_CUR)
    return facts


def _with_duration(facts: ContainerFacts, frame_size: int | None, length: int, start: int) -> ContainerFacts:
    available = None if facts.size is None else max(0, facts.size - start)
    promised = None if length in _SIZE_UNKNOWN else length
    known = [count for count in (promised, available) if count is not None]
    if not known or not frame_size or not facts.sample_rate:
        return facts
    cut = promised is not None and available is not None and available < promised
    return replace(facts, duration=min(known) // frame_size / facts.sample_rate, cut=cut)

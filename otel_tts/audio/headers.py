# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the headers of FLAC, Ogg, MP3 and MP4 files say: a few reads of bounded size, nothing is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, NamedTuple

_TAIL: Final = 1 << 17
"""Bytes at a file's end where the last page of an Ogg stream begins; a page has at most 65307."""
_MAX_WALK: Final = 1 << 22
"""Bytes of MP3 frames that are counted where no header does it: four minutes at 128 kbit/s."""
_MAX_MOOV: Final = 1 << 22
_MAX_BOXES: Final = 256


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What a container says of the audio in it. None is unknown."""

    format: str
    duration: float | None = None
    """Seconds: what the header promises, or less where the data ends before."""
    sample_rate: int | None = None
    channels: int | None = None
    size: int | None = None
    """Bytes, header and all."""
    cut: bool = False
    """The data ends before what the header promises, or without the mark of its end."""


# --- FLAC ------------------------------------------------------------------------------------------------------------


def read_flac(file: BinaryIO, size: int | None) -> ContainerFacts | None:
    """Facts of a FLAC file; its frames are not counted, so one that was cut off cannot be told here."""
    head = file.read(26)
    if head[:4] != b"fLaC" or head[4] & 0x7F:
        return None
    return _with_stream_info(ContainerFacts("flac", size=size), head[8:26])


def _with_stream_info(facts: ContainerFacts, block: bytes) -> ContainerFacts:
    """Add what STREAMINFO says: 20 bits of rate, 3 of channels, 5 of sample size, 36 of frames, from its byte 10 on."""
    bits = int.from_bytes(block[10:18], "big")
    rate, channels, frames = bits >> 44, (bits >> 41 & 7) + 1, bits & ((1 << 36) - 1)
    return replace(
        facts, sample_rate=rate or None, channels=channels, duration=frames / rate if frames and rate else None
    )


# --- Ogg -------------------------------------------------------------------------------------------------------------


def read_ogg(file: BinaryIO, size: int | None) -> ContainerFacts | None:
    """Facts of an Ogg file with Vorbis, Opus or FLAC: rate and channels from its first page, length from its last."""
    head = file.read(512)
    if head[:4] != b"OggS":
        return None
    packet = head[27 + head[26] :]
    facts, skipped = ContainerFacts("ogg", size=size), 0
    if packet[:7] == b"\x01vorbis":
        facts = replace(facts, channels=packet[11], sample_rate=int.from_bytes(packet[12:16], "little"))
    elif packet[:8] == b"OpusHead":
        facts = replace(facts, channels=packet[9], sample_rate=48000)  # whatever it was made from
        skipped = int.from_bytes(packet[10:12], "little")
    elif packet[:5] == b"\x7fFLAC":
        facts = _with_stream_info(facts, packet[17:])
    else:
        return None
    if size is None or not facts.sample_rate:
        return facts
    last = _last_page(file, size)
    if last is None:
        return replace(facts, cut=True)
    return replace(facts, duration=max(0, last.frames - skipped) / facts.sample_rate, cut=not last.ends)


class _Page(NamedTuple):
    frames: int
    ends: bool


def _last_page(file: BinaryIO, size: int) -> _Page | None:
    """Return the last whole page in which a packet ends, and whether the stream ends with it."""
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    at = len(tail)
    while (at := tail.rfind(b"OggS\0", 0, at)) >= 0:
        if len(tail) < at + 27 or len(tail) < at + 27 + tail[at + 26] + sum(tail[at + 27 : at + 27 + tail[at + 26]]):
            continue
        frames = int.from_bytes(tail[at + 6 : at + 14], "little", signed=True)
        if frames >= 0:
            return _Page(frames, bool(tail[at + 5] & 4))
    return None


# --- MP3 -------------------------------------------------------------------------------------------------------------

_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBITS_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class _Frame(NamedTuple):
    """One frame of MPEG layer III."""

    rate: int
    channels: int
    samples: int
    length: int
    side: int
    """Bytes between its header and a table of contents."""


def read_mp3(file: BinaryIO, size: int | None) -> ContainerFacts | None:
    """Facts of an MP3 file: from the table of contents in its first frame, else by counting frames."""
    start = _after_id3(file)
    file.seek(start)
    block = file.read(_MAX_WALK if size is not None else 4096)
    found = _first_frame(block)
    if found is None:
        return None
    at, frame = found
    facts = ContainerFacts("mp3", None, frame.rate, frame.channels, size)
    table = block[at + 4 + frame.side :][:16]
    if table[:4] in (b"Xing", b"Info"):
        flags, frames, length = struct.unpack(">4xIII", table)
        if flags & 1 and frames:
            cut = bool(size is not None and flags & 2 and start + at + length > size)
            promised = frames * frame.samples / frame.rate
            return replace(facts, duration=promised if not cut else _counted(block, at, start, size), cut=cut)
        at += frame.length
    return replace(facts, duration=_counted(block, at, start, size))


def _after_id3(file: BinaryIO) -> int:
    head = file.read(10)
    if head[:3] != b"ID3":
        return 0
    length = 0
    for byte in head[6:10]:
        length = length << 7 | byte & 0x7F
    return 10 + length


def _frame_at(block: bytes, at: int) -> _Frame | None:
    head = block[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # the sync word, and layer III
        return None
    version, bits, which = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or not 0 < bits < 15 or which == 3:
        return None
    rate, mono = _RATES[version][which], head[3] >> 6 == 3
    kbits, samples = (_KBITS_1[bits], 1152) if version == 3 else (_KBITS_2[bits], 576)
    length = samples // 8 * kbits * 1000 // rate + (head[2] >> 1 & 1)
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(rate, 1 if mono else 2, samples, length, side)


def _first_frame(block: bytes) -> tuple[int, _Frame] | None:
    """Return the first frame that another one of its kind follows: two bytes alone look like a frame anywhere."""
    at = -1
    for _ in range(_MAX_BOXES):
        at = block.find(b"\xff", at + 1, 1 << 16)
        if at < 0:
            return None
        frame = _frame_at(block, at)
        if frame is None:
            continue
        after = _frame_at(block, at + frame.length)
        if (after is not None and after.rate == frame.rate) or at + frame.length == len(block):
            return at, frame
    return None


def _counted(block: bytes, at: int, start: int, size: int | None) -> float | None:
    """Seconds of the frames from `at` on; None where they go on beyond the block."""
    if size is None or start + len(block) < size:
        return None
    seconds = 0.0
    while (frame := _frame_at(block, at)) is not None and at + frame.length <= len(block):
        seconds += frame.samples / frame.rate
        at += frame.length
    return seconds


# --- MP4 -------------------------------------------------------------------------------------------------------------


def read_mp4(file: BinaryIO, size: int | None) -> ContainerFacts | None:
    """Facts of the first sound track of an MP4 file; one without an index was not finished and cannot be played."""
    head = file.read(8)
    if head[4:8] != b"ftyp":
        return None
    facts = ContainerFacts("m4a", size=size)
    if size is None:
        return facts
    at, index, cut = 0, b"", False
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length, name, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        length = length or size - at
        if length < start:
            break
        cut = cut or at + length > size
        if name == b"moov":
            file.seek(at + start)
            index = file.read(min(length - start, _MAX_MOOV))
        at += length
    return replace(_with_track(facts, index), cut=cut or not index)


def _with_track(facts: ContainerFacts, index: bytes) -> ContainerFacts:
    """Add the movie's length, which leaves out the encoder's padding, and the rate of the first sound track.

    The number of channels there is 2 whatever it is; the codec's own header has it.
    """
    head = next(_boxes(index, b"mvhd"), b"")
    if len(head) >= 32:
        scale, length = struct.unpack(">20xIQ", head[:32]) if head[0] == 1 else struct.unpack(">12xII", head[:20])
        facts = replace(facts, duration=length / scale if scale and length else None)
    for track in _boxes(index, b"trak"):
        media = next(_boxes(track, b"mdia"), b"")
        if next(_boxes(media, b"hdlr"), b"")[8:12] == b"soun":
            table = next(_boxes(next(_boxes(media, b"minf"), b""), b"stbl"), b"")
            entry = next(_boxes(table, b"stsd"), b"")[8:]
            return replace(facts, sample_rate=int.from_bytes(entry[32:34], "big") or None)
    return facts


def _boxes(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The bodies of the boxes of one kind that lie directly in `data`."""
    at = 0
    for _ in range(_MAX_BOXES):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if length < 8 or len(name) < 4:
            return
        if name == wanted:
            yield data[at + 8 : at + length]
        at += length


READERS: Final = (read_flac, read_ogg, read_mp4, read_mp3)
"""The one that is told by the weakest mark comes last."""

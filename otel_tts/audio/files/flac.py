# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""FLAC files: what STREAMINFO promises, and where the last frame says that they end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from otel_tts.audio.files.formats import ContainerFacts, View

_MARK: Final = b"fLaC"
_LENGTH: Final = b"\0\0\x22"
"""The length of STREAMINFO, after the mark and its own kind."""
_BEFORE: Final = 42
"""Bytes up to the end of STREAMINFO."""
_MAX_SEARCH: Final = 1 << 26
"""Bytes that are searched for another file behind the first: an hour."""
_MAX_LINKS: Final = 1024
"""Files in one whose ends are looked for."""
_MAX_FRAME: Final = 1 << 16
"""Bytes of a last frame; those of speech have a few thousand."""
_MAX_TRIES: Final = 8
"""Places that look like the beginning of the last frame; few are none."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What the first block of a stream says."""

    rate: int
    channels: int
    frames: int
    """Samples of one channel; 0 where the writer did not know: it wrote to a pipe."""
    block: int
    """Samples of a frame, where all have as many."""


def parse_stream_info(block: bytes) -> StreamInfo:
    """Read STREAMINFO: block size first; from byte 10 on 20 bits of rate, 3 of channels, 5 of width, 36 of frames."""
    bits = int.from_bytes(block[10:18], "big")
    return StreamInfo(bits >> 44, (bits >> 41 & 7) + 1, bits & ((1 << 36) - 1), int.from_bytes(block[:2], "big"))


def with_stream_info(facts: ContainerFacts, block: bytes) -> ContainerFacts:
    """Add what STREAMINFO says."""
    info = parse_stream_info(block)
    seconds = info.frames / info.rate if info.frames and info.rate else None
    return replace(facts, sample_rate=info.rate or None, channels=info.channels, duration=seconds)


def read_flac(view: View) -> ContainerFacts | None:
    """Facts of a FLAC file, or of several ones in a row."""
    head = view.at(0, 26)
    if head[:4] != _MARK or head[4] & 0x7F:
        return None
    facts = with_stream_info(ContainerFacts("flac", size=view.size), head[8:26])
    if view.size is None or not facts.sample_rate:
        return facts
    starts = [0, *(itertools.islice(_further_links(view, view.size), _MAX_LINKS) if view.deep else ())]
    if len(starts) > _MAX_LINKS:
        return replace(facts, duration=None)
    seconds, cut = 0.0, False
    for start, end in zip(starts, [*starts[1:], view.size], strict=True):
        info = parse_stream_info(view.at(start + 8, 18))
        played = _frames_to(view, info, start, end)
        if not view.deep and played != info.frames:  # others may follow in what is missing
            return replace(facts, duration=None)
        if played is None or (info.frames and played > info.frames):
            played = info.frames
        if not info.rate or (not played and not info.frames):
            return replace(facts, duration=None, links=len(starts))
        seconds += played / info.rate
        cut = cut or played < info.frames
    return replace(facts, duration=seconds, cut=cut, links=len(starts))


def _further_links(view: View, size: int) -> Iterator[int]:
    for start in view.find_all(_MARK, len(_MARK), min(size, _MAX_SEARCH)):
        head = view.at(start, 26)
        if len(head) == 26 and head[4] & 0x7F == 0 and head[5:8] == _LENGTH and parse_stream_info(head[8:]).rate:
            yield start


# --- the last frame ---------------------------------------------------------------------------------------------------


def _frames_to(view: View, info: StreamInfo, start: int, end: int) -> int | None:
    """Return the samples up to the last whole frame before `end`; None where no frame can be told."""
    begin = max(start + _BEFORE, end - _MAX_FRAME)
    data = view.at(begin, end - begin)
    if len(data) < end - begin:
        return None
    after: int | None = None
    at, tries = len(data), 0
    while tries < _MAX_TRIES and (at := data.rfind(b"\xff", 0, at)) >= 0:
        frame = _frame_at(data, at, info)
        if frame is None:
            continue
        first, count = frame
        if first + count == after or _crc16(data[at:]) == 0:  # the one after it is there in part, or there is none
            return first + count
        after, tries = first, tries + 1
    return 0 if begin == start + _BEFORE and not after else None


def _frame_at(data: bytes, at: int, info: StreamInfo) -> tuple[int, int] | None:
    """Return the number of a frame's first sample and how many it has, where its header's checksum is right."""
    head = data[at : at + 16]
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    number = _coded_number(head[4:])
    if number is None:
        return None
    value, length = number
    size, extra = _block_size(head[2] >> 4, head[4 + length :])
    extra += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    check = 4 + length + extra
    if not size or len(head) <= check or _crc8(head[:check]) != head[check]:
        return None
    return (value if head[1] & 1 else value * info.block), size


def _coded_number(data: bytes) -> tuple[int, int] | None:
    """Return a number that is coded as UTF-8 codes characters, and its bytes."""
    first = data[0]
    if first < 0x80:
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= length <= 7 or len(data) < length:
        return None
    value = first & (0x7F >> length)
    for byte in data[1:length]:
        if byte & 0xC0 != 0x80:
            return None
        value = value << 6 | byte & 0x3F
    return value, length


def _block_size(code: int, rest: bytes) -> tuple[int, int]:
    """Return the samples of a frame, and how many bytes of `rest` say so."""
    if code == 6:
        return (rest[0] + 1 if rest else 0), 1
    if code == 7:
        return int.from_bytes(rest[:2], "big") + 1, 2
    if code == 1:
        return 192, 0
    return (576 << code - 2 if 2 <= code <= 5 else 256 << code - 8 if code >= 8 else 0), 0


def _table(width: int, polynomial: int) -> tuple[int, ...]:
    rows: list[int] = []
    for byte in range(256):
        value = byte << width - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> width - 1 & 1 else 0)
        rows.append(value & ((1 << width) - 1))
    return tuple(rows)


_CRC8: Final = _table(8, 0x107)
_CRC16: Final = _table(16, 0x18005)


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


def _crc16(data: bytes) -> int:
    """Checksum over a frame; with its own at the end it is 0."""
    value = 0
    for byte in data:
        value = value << 8 & 0xFFFF ^ _CRC16[value >> 8 ^ byte]
    return value

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""MP4 files with sound (m4a): what their index says."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from otel_tts.audio.files.formats import ContainerFacts, View

_MAX_MOOV: Final = 1 << 22
_MAX_BOXES: Final = 256


def read_mp4(view: View) -> ContainerFacts | None:
    """Facts of the first sound track of an MP4 file; one without an index was not finished and cannot be played."""
    if view.at(4, 4) != b"ftyp":
        return None
    size = view.size
    facts = ContainerFacts("m4a", size=size)
    if size is None:
        return facts
    at, index, cut = 0, b"", False
    for _ in range(_MAX_BOXES):
        head = view.at(at, 16)
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
            index = view.at(at + start, min(length - start, _MAX_MOOV))
        at += length
    if not view.whole and at < size:
        return facts
    return replace(_with_track(facts, index), cut=cut or not index)


def _with_track(facts: ContainerFacts, index: bytes) -> ContainerFacts:
    """Add the movie's length, which leaves out the encoder's padding, and what the first sound track says."""
    head = next(_boxes(index, b"mvhd"), b"")
    if len(head) >= 32:
        scale, length = struct.unpack(">20xIQ", head[:32]) if head[0] == 1 else struct.unpack(">12xII", head[:20])
        facts = replace(facts, duration=length / scale if scale and length else None)
    for track in _boxes(index, b"trak"):
        media = next(_boxes(track, b"mdia"), b"")
        if next(_boxes(media, b"hdlr"), b"")[8:12] == b"soun":
            table = next(_boxes(next(_boxes(media, b"minf"), b""), b"stbl"), b"")
            entry = next(_boxes(table, b"stsd"), b"")[8:]
            rate = int.from_bytes(entry[32:34], "big")
            return replace(facts, sample_rate=rate or None, channels=_channels_of(entry[36:]))
    return facts


def _channels_of(codec: bytes) -> int | None:
    """The channels as AAC's own header has them: the track says 2 whatever they are.

    That header lies in descriptors, one in the other: kind 3, 4 and 5, each with a length of one to four bytes.
    """
    block = next(_boxes(codec, b"esds"), b"")[4:]
    for kind, fixed in ((3, 3), (4, 13), (5, 0)):
        if block[:1] != bytes((kind,)):
            return None
        at = 1
        while at < 4 and block[at : at + 1] and block[at] & 0x80:
            at += 1
        block = block[at + 1 + fixed :]
    bits = int.from_bytes(block[:2].ljust(2, b"\0"), "big")  # 5 of the codec's kind, 4 of the rate, 4 of channels
    return bits >> 3 & 15 or None if bits >> 7 & 15 != 15 else None


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

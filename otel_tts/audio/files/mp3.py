# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""MP3 files: the table in the first frame where it says all, else the frames are counted."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from otel_tts.audio.files.formats import ContainerFacts, View

_MAX_WALK: Final = 1 << 24
"""Bytes whose frames are counted: 17 minutes at 128 kbit/s."""
_MAX_TRIES: Final = 256
_NEAR: Final = 1 << 16
"""Bytes that are searched for the first frame, and for the next one behind damage."""
_ID3V1: Final = 128
_TAGS: Final = (b"TAG", b"ID3")

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


class _Table(NamedTuple):
    """What the frame says that an encoder puts before the sound. 0 is unknown."""

    frames: int = 0
    length: int = 0
    """Bytes of all frames, this one included."""
    delay: int = 0
    """Samples that the encoder put before the sound; players leave them out."""
    padding: int = 0
    """Samples that the encoder put behind the sound; players leave them out too."""


@dataclass(slots=True)
class _Link:
    """One of the files that may lie in one: services encode each sentence for itself and write them in a row."""

    table: _Table
    rate: int
    frame: int
    """Samples of a frame."""
    counted: int = 0

    def is_cut(self) -> bool:
        return self.counted < self.table.frames

    def seconds(self) -> float:
        lost = self.table.delay + (0 if self.is_cut() else self.table.padding)
        return max(0, self.counted * self.frame - lost) / self.rate


def read_mp3(view: View) -> ContainerFacts | None:
    """Facts of an MP3 file, or of several ones in a row."""
    start = _after_id3(view, 0)
    found = _next_frame(view, start, weak=False)
    if found is None:
        return None
    at, frame = found
    facts = ContainerFacts("mp3", None, frame.rate, frame.channels, view.size)
    table = _table_at(view, at, frame)
    if table is not None and table.frames and (view.size is None or _fills(view, at + table.length)):
        link = _Link(table, frame.rate, frame.samples, table.frames)
        return replace(facts, duration=link.seconds())
    if view.size is None:
        return facts
    return _counted(view, at, facts)


def _fills(view: View, end: int) -> bool:
    """Whether a file of which its table says that it ends at `end` does so: nothing is lost, nothing follows."""
    return view.size is not None and end <= view.size <= end + _ID3V1 and view.size - end in (0, _ID3V1)


def _counted(view: View, at: int, facts: ContainerFacts) -> ContainerFacts:
    links: list[_Link] = []
    size = view.size or 0
    broken = False
    while at < size:
        if at > _MAX_WALK:
            return replace(facts, links=max(1, len(links)))
        frame, tagged = _frame_at(view.at(at, 4)), False
        if frame is None:
            tagged = view.at(at, 3) in _TAGS
            found = _next_frame(view, _after_tags(view, at), weak=True)
            if found is None:
                break
            at, frame = found
        if at + frame.length > size:
            broken = True
            break
        table = _table_at(view, at, frame)
        if table is not None or tagged or not links:
            links.append(_Link(table or _Table(), frame.rate, frame.samples))
        if table is None:
            links[-1].counted += 1
        at += frame.length
    if not view.whole:  # the middle was not counted
        return replace(facts, links=max(1, len(links)))
    cut = broken or any(link.is_cut() for link in links)
    return replace(facts, duration=sum(link.seconds() for link in links), cut=cut, links=max(1, len(links)))


def _after_id3(view: View, at: int) -> int:
    head = view.at(at, 10)
    if head[:3] != b"ID3" or len(head) < 10:
        return at
    length = 0
    for byte in head[6:10]:
        length = length << 7 | byte & 0x7F
    return at + 10 + length


def _after_tags(view: View, at: int) -> int:
    return at + _ID3V1 if view.at(at, 3) == b"TAG" else _after_id3(view, at)


def _table_at(view: View, at: int, frame: _Frame) -> _Table | None:
    """Return the table in the frame at `at`, where it has one: then no sound is in it."""
    block = view.at(at + 4 + frame.side, 152)
    if block[:4] not in (b"Xing", b"Info") or len(block) < 16:
        return None
    flags, *rest = struct.unpack(">4xIII", block[:16])
    frames = rest.pop(0) if flags & 1 else 0
    length = rest.pop(0) if flags & 2 else 0
    encoder = block[8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8) :]
    if len(encoder) < 24 or not encoder[:4].isalnum():  # LAME, Lavf, Lavc
        return _Table(frames, length)
    both = int.from_bytes(encoder[21:24], "big")
    return _Table(frames, length, both >> 12, both & 0xFFF)


def _frame_at(head: bytes) -> _Frame | None:
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


def _next_frame(view: View, start: int, weak: bool) -> tuple[int, _Frame] | None:
    """Return the next frame that another one of its kind follows: two bytes alone look like a frame anywhere.

    Of the first one the file may end with it, or be its head only; `weak`: within a file that is known to be MP3.
    """
    at = start - 1
    for _ in range(_MAX_TRIES):
        at = view.find(b"\xff", at + 1, start + _NEAR)
        if at < 0:
            return None
        frame = _frame_at(view.at(at, 4))
        if frame is None:
            continue
        end = at + frame.length
        after = _frame_at(view.at(end, 4))
        if (after is not None and after.rate == frame.rate) or end == view.size or (weak and view.at(end, 3) in _TAGS):
            return at, frame
    return None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""WAV files: their header, and their samples where they are plain numbers. No decoder is needed for either."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from otel_tts.audio.files.formats import ContainerFacts, View

_MAX_CHUNKS: Final = 64
_ALL_ONES: Final = 0xFFFFFFFF
_PLACEHOLDER: Final = 1_000_000_000
"""Data of this size or more that is not there was never promised: whoever writes to a pipe does not know the length and
writes something large (espeak-ng and sox 0x7FFFF000, pocket-tts 2,000,000,000, ffmpeg all ones)."""
_EXTENSIBLE: Final = 0xFFFE
# Tags whose data is a row of samples of one size: PCM, float, A-law, mu-law.
_PCM, _FLOAT = 0x0001, 0x0003
_SAMPLE_TAGS: Final = (_PCM, _FLOAT, 0x0006, 0x0007)


@dataclass(frozen=True, slots=True)
class Samples:
    """Where a WAV file has its samples, and how they are written."""

    start: int
    length: int
    """Bytes that are there."""
    rate: int
    channels: int
    dtype: str
    """numpy's name of one sample; ``"u3"`` for 24 bits, which it has not."""


def read_wav(view: View) -> ContainerFacts | None:
    """Facts of a WAV file; one that was written to a pipe is as long as what follows its header."""
    return (_Header(view).facts()) if _is_wav(view) else None


def samples_of(view: View) -> Samples | None:
    """Return where the samples are; None where they are not plain numbers."""
    return _Header(view).samples() if _is_wav(view) else None


def _is_chunk(view: View, at: int) -> bool:
    """Whether another chunk begins at `at`, and no sound."""
    head = view.at(at, 8)
    return head[:4].strip().isalnum() and view.size is not None and at + int.from_bytes(head[4:], "little") < view.size


def _is_wav(view: View) -> bool:
    head = view.at(0, 12)
    return head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE"


class _Header:
    def __init__(self, view: View) -> None:
        self._size = view.size
        self._tag = self._channels = self._rate = self._frame = self._bits = 0
        self._start: int | None = None
        self._promised, self._is_empty = 0, False
        large, at = 0, 12
        for _ in range(_MAX_CHUNKS):
            head = view.at(at, 8)
            if len(head) < 8:
                break
            name, length, at = head[:4], int.from_bytes(head[4:], "little"), at + 8
            if name == b"data":
                self._start, self._promised = at, large if large and length == _ALL_ONES else length
                self._is_empty = not length and _is_chunk(view, at)
                break
            if name == b"ds64":  # files beyond 4 GiB, and those that may become so
                large = int.from_bytes(view.at(at + 8, 8), "little")
            elif name == b"fmt ":
                self._read_format(view.at(at, min(length, 40)))
            at += length + length % 2

    def _read_format(self, chunk: bytes) -> None:
        self._tag, self._channels, self._rate, _, self._frame, self._bits = struct.unpack("<HHIIHH", chunk[:16])
        if self._tag == _EXTENSIBLE:
            self._tag = int.from_bytes(chunk[24:26], "little") or _PCM

    def facts(self) -> ContainerFacts:
        facts = ContainerFacts("wav", None, self._rate or None, self._channels or None, self._size)
        length, cut = self._length()
        if length is None or self._tag not in _SAMPLE_TAGS or not (self._frame and self._rate):
            return facts
        return replace(facts, duration=length // self._frame / self._rate, cut=cut)

    def _length(self) -> tuple[int | None, bool]:
        """Bytes of samples that there are, and whether more were promised."""
        if self._start is None:
            return None, False
        there = None if self._size is None else max(0, self._size - self._start)
        if self._is_unknown(there):
            return there, False
        if there is None:
            return self._promised, False
        return min(self._promised, there), there < self._promised

    def _is_unknown(self, there: int | None) -> bool:
        """Whether the header was written before the length was known, and never again."""
        if not self._promised:
            return not self._is_empty
        return self._promised >= _PLACEHOLDER and (there is None or there < self._promised)

    def samples(self) -> Samples | None:
        length, _ = self._length()
        width = self._frame // self._channels if self._channels else 0
        dtype = {_PCM: {1: "u1", 2: "<i2", 3: "u3", 4: "<i4"}, _FLOAT: {4: "<f4", 8: "<f8"}}.get(self._tag, {}).get(
            width
        )
        if dtype is None or self._start is None or not length or not self._rate:
            return None
        return Samples(self._start, length - length % self._frame, self._rate, self._channels, dtype)

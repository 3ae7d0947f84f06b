# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ogg files with Vorbis, Opus or FLAC: rate and channels from the first page, the length from each link's last one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from otel_tts.audio.files.flac import with_stream_info
from otel_tts.audio.files.formats import ContainerFacts, View

_MARK: Final = b"OggS\0"
_TAIL: Final = 1 << 17
"""Bytes at a file's end where the last page begins; a page has at most 65307."""
_MAX_PAGES: Final = 1 << 16
"""Pages that are looked at: 20 minutes where each packet has a page of its own, hours where it has not."""
_BEGINS, _ENDS = 2, 4


@dataclass(slots=True)
class _Link:
    """One of the streams that follow each other in a chain: services write one for each sentence."""

    serial: bytes
    rate: int
    skipped: int
    frames: int | None = None
    ends: bool = False

    def take(self, page: _Page) -> None:
        if page.frames >= 0:
            self.frames, self.ends = page.frames, bool(page.flags & _ENDS)

    def seconds(self) -> float | None:
        return None if self.frames is None else max(0, self.frames - self.skipped) / self.rate


class _Page(NamedTuple):
    length: int
    flags: int
    frames: int
    """Samples up to the end of the last packet that ends in it; -1 where none does."""
    serial: bytes


def read_ogg(view: View) -> ContainerFacts | None:
    """Facts of an Ogg file; a chain is as long as all its links."""
    if view.at(0, 5) != _MARK:
        return None
    begun = _begin(view, 0)
    if begun is None:
        return None
    facts, link = begun
    if view.size is None or link is None:
        return facts
    links, at, whole = [link], 0, False
    for _ in range(_MAX_PAGES if view.deep else 0):
        page = _page_at(view, at)
        if page is None:
            at = view.find(_MARK, at + 1, min(view.size, at + _TAIL))
            if at < 0:
                whole = True
                break
            continue
        if page.flags & _BEGINS and at and (begun := _begin(view, at)) is not None and begun[1] is not None:
            links.append(begun[1])
        if page.serial == links[-1].serial:
            links[-1].take(page)
        at += page.length
    if not whole and not _skip_to_end(view, links[-1]):
        return replace(facts, links=len(links))
    lengths = [link.seconds() for link in links]
    known = [length for length in lengths if length is not None]
    return replace(
        facts, duration=sum(known) if known else None, cut=not all(link.ends for link in links), links=len(links)
    )


def _begin(view: View, at: int) -> tuple[ContainerFacts, _Link | None] | None:
    """Read the page that a link begins with; None where no sound is in it."""
    head = view.at(at, 512)
    packet = head[27 + head[26] :]
    facts, skipped = ContainerFacts("ogg", size=view.size), 0
    if packet[:7] == b"\x01vorbis":
        facts = replace(facts, channels=packet[11], sample_rate=int.from_bytes(packet[12:16], "little"))
    elif packet[:8] == b"OpusHead":
        facts = replace(facts, channels=packet[9], sample_rate=48000)  # whatever it was made from
        skipped = int.from_bytes(packet[10:12], "little")
    elif packet[:5] == b"\x7fFLAC":
        facts = replace(with_stream_info(facts, packet[17:]), duration=None)
    else:
        return None
    return facts, _Link(head[14:18], facts.sample_rate, skipped) if facts.sample_rate else None


def _page_at(view: View, at: int) -> _Page | None:
    """Return the page that begins at `at`, where it is there to its end."""
    head = view.at(at, 27 + 255)
    if head[:5] != _MARK or len(head) < 27 or len(head) < 27 + head[26]:
        return None
    length = 27 + head[26] + sum(head[27 : 27 + head[26]])
    if view.size is not None and at + length > view.size:
        return None
    return _Page(length, head[5], int.from_bytes(head[6:14], "little", signed=True), head[14:18])


def _skip_to_end(view: View, link: _Link) -> bool:
    """Go on with the last page of all; False where it belongs to another link, and those between are not known."""
    start, tail = view.tail(_TAIL)
    at = len(tail)
    while (at := tail.rfind(_MARK, 0, at)) >= 0:
        page = _page_at(view, start + at)
        if page is None or page.frames < 0:
            continue
        link.take(page)
        return page.serial == link.serial
    return True

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Waits for lines that are added to files: to files that grow, are renamed, begun anew or come to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from otel_tts.readers import otlp_files
from otel_tts.readers.model import Gap, OnGap

T = TypeVar("T")

PAUSE_S: Final = 0.3
"""Seconds between two looks at the files."""


def follow(
    files: Callable[[OnGap], list[Path]],
    take: Callable[[Any], Iterator[T]],
    from_start: bool,
    on_gap: OnGap,
    patience: float | None,
) -> Iterator[T]:
    """Yield what `take` finds in lines that are added from now on; with `from_start` also in those that are there."""
    told: set[Gap] = set()

    def tell(gap: Gap) -> None:
        if gap not in told and len(told) < 1000:
            told.add(gap)
            on_gap(gap)

    places = {} if from_start else dict(filter(None, map(_end, files(tell))))
    waited_since = time.monotonic()
    first = from_start
    while True:
        for path in files(tell):
            if path.suffix == ".gz" and not first:
                continue  # it was read before it was packed
            try:
                for line in _added(path, places, tell):
                    found, reason = otlp_files.parse(line, take)
                    if found is None:
                        tell(Gap("unreadable", f"{path}: a line is broken: {reason}"))
                    for item in found or ():
                        yield item
                        waited_since = time.monotonic()
            except OSError as error:
                if not isinstance(
                    error, FileNotFoundError
                ):  # renamed or deleted meanwhile: it is found by its new name
                    tell(Gap("unreadable", f"{path}: {error.strerror}"))
        first = False
        if patience is not None and time.monotonic() - waited_since > patience:
            return
        time.sleep(PAUSE_S)


def _end(path: Path) -> tuple[tuple[int, int], int] | None:
    try:
        return _identity(path), path.stat().st_size
    except OSError:
        return None


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _added(path: Path, places: dict[tuple[int, int], int], tell: OnGap) -> Iterator[bytes]:
    """Yield the whole lines that were added to `path` since the last look; a line that is still being written waits."""
    if path.suffix == ".gz":
        yield from otlp_files.read_lines(path, lambda bad: tell(Gap("unreadable", str(bad))))
        return
    identity = _identity(path)
    place = places.get(identity, 0)
    size = path.stat().st_size
    if size < place:
        place = 0  # it was begun anew
    rest = b""
    with path.open("rb", buffering=0) as file:
        file.seek(place)
        while block := file.read(otlp_files.BLOCK):
            text, feed, begun = block.rpartition(b"\n")
            if not feed:
                rest += block
                if len(rest) > otlp_files.LONGEST_LINE:
                    tell(Gap("unreadable", f"{path}: a line is longer than {otlp_files.LONGEST_LINE} bytes"))
                    place, rest = place + len(rest), b""
                continue
            whole, rest = rest + text, begun
            for line in whole.split(b"\n"):
                place += len(line) + 1
                places[identity] = place
                if line.strip():
                    yield line
    places[identity] = place

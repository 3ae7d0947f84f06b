# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests about a time, out of large files: lines are in about the order of time, so a few looks find the place."""

from __future__ import annotations

import os
import re
import time as clock
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from otel_tts.readers import otlp_files, otlp_json
from otel_tts.readers.file_search import line_begin
from otel_tts.readers.limits import closest, count_asked_for
from otel_tts.readers.model import Span, Synthesis
from otel_tts.readers.syntheses import of_trace

_TIME: Final = re.compile(rb'"endTimeUnixNano"\s*:\s*"?(\d{1,19})"?')
_CLOSE: Final = 64 * 1024
"""Bytes within which a place is near enough."""

_STEP: Final = 64 * 1024
_FURTHEST: Final = 16 * 1024 * 1024
"""Bytes after a place in which a time is looked for: no more lie between two spans."""


_EACH: Final = 3000
"""Bytes of a request in a file, about."""

_MOST: Final = 64 * 1024 * 1024
"""Bytes that are parsed."""


def near(paths: Sequence[Path], time: int, most: int, seconds: float) -> list[Synthesis]:
    """At most `most` syntheses that began about `time`, the closest first; as many as are read within `seconds`.

    Canaries are not counted.
    """
    until = clock.monotonic() + seconds
    plain = [path for path in paths if path.suffix != ".gz"]
    spans: dict[tuple[str, str, int], Span] = {}
    found: list[Synthesis] = []
    size = most * _EACH
    while plain and count_asked_for(found) < most:
        for path in plain:
            with suppress(OSError):  # it is told by who reads all of it
                spans.update(_keyed(_about(path, time, max(size // len(plain), 128 * 1024))))
        found = _made(spans.values())
        if size >= _MOST or clock.monotonic() > until or size >= 2 * sum(map(_size, plain)):
            break
        size *= 4
    packed = sorted((path for path in paths if path.suffix == ".gz"), key=lambda path: abs(_changed(path) - time))
    for path in packed:
        if count_asked_for(found) >= most or clock.monotonic() > until:
            break
        with suppress(OSError):
            spans.update(_keyed(otlp_files.read_spans(path, on_bad=lambda bad: None)))
        found = _made(spans.values())
    return closest(found, time, most)


def _about(path: Path, time: int, size: int) -> Iterator[Span]:
    with path.open("rb", buffering=0) as file:
        begin = line_begin(file.fileno(), max(0, place_of(path, time) - size // 2))
    return otlp_files.read_part(path, otlp_json.spans, begin, begin + size)


def _keyed(spans: Iterable[Span]) -> Iterator[tuple[tuple[str, str, int], Span]]:
    return (((span.trace_id, span.span_id, span.end), span) for span in spans)


def _made(spans: Iterable[Span]) -> list[Synthesis]:
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return [one for trace in traces.values() for one in of_trace(trace)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def place_of(path: Path, time: int) -> int:
    """Where about in `path` spans ended at `time` (nanoseconds since 1970): a place where a line begins.

    The file's end where all ended before. Raises OSError.
    """
    with path.open("rb", buffering=0) as file:
        low, high = 0, os.fstat(file.fileno()).st_size
        while high - low > _CLOSE:
            middle = (low + high) // 2
            found = _time_after(file, middle, high)
            if found is None or found >= time:
                high = middle
            else:
                low = middle
        return line_begin(file.fileno(), low)


def _time_after(file: BinaryIO, place: int, end: int) -> int | None:
    """The first time that stands after `place`, None where none does."""
    kept = b""
    stop = min(end, place + _FURTHEST)
    while place < stop and (text := os.pread(file.fileno(), _STEP, place)):
        if (found := _TIME.search(kept + text)) is not None and found.end() < len(kept + text):
            return int(found[1])
        kept, place = (kept + text)[-64:], place + len(text)
    return None

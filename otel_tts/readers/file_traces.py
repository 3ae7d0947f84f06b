# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole traces out of files in which their spans lie apart: in several processes' files, between those of others.

Files are read side by side, in order of time, and a trace is held until no span of it has come for a while. So memory
is bounded whatever the files' size, and a span that comes later still is counted and told.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from otel_tts.readers.model import Gap, OnGap, Span
from otel_tts.readers.otlp_files import OnBad
from otel_tts.readers.syntheses import is_synthesis, stage_of

QUIET: Final = 30_000
"""Spans that are read after a trace's last one before it counts as whole: half a minute of 150 requests a second."""

HELD: Final = 60_000
"""Spans that are held at once; beyond it the trace that waits longest is taken as it is."""

LARGEST: Final = 20_000
"""Spans of one trace; what is beyond it is left out and told."""

REMEMBERED: Final = 100_000
"""Traces that were handed out, to know late spans by."""


class OpenFile(Protocol):
    """Yields the spans of each line of a file."""

    def __call__(self, path: Path, on_bad: OnBad = ...) -> Generator[list[Span], None, None]: ...


def merged(paths: Sequence[Path], open_file: OpenFile) -> Iterator[Span]:
    """Yield the spans of all files in about the order of time; each file is in about that order itself."""
    heap: list[tuple[int, int, _File | None]] = [
        (begin, place, None) for place, path in enumerate(paths) if (begin := _begin(path, open_file)) is not None
    ]
    heapq.heapify(heap)
    while heap:
        _, place, file = heapq.heappop(heap)
        file = file or _File(open_file(paths[place]))
        # As long as this file is behind the others; most often there is one file, or one in use at a time.
        while file.batch is not None and (not heap or (file.time, place) <= heap[0][:2]):
            yield from file.batch
            file.advance()
        if file.batch is not None:
            heapq.heappush(heap, (file.time, place, file))


def _begin(path: Path, open_file: OpenFile) -> int | None:
    """The time of a file's first spans, None where no line can be read. It is closed again: there may be very many."""
    skipped: list[object] = []
    batches = open_file(path, skipped.append)
    try:
        first = next((_time(batch) for batch in batches if batch), None)
    finally:
        batches.close()
    return 0 if first is None and skipped else first  # so that what was skipped is counted


class _File:
    """A file that is being read: one batch of spans, and the time it stands at.

    The time is the lesser of this batch's and the next one's, so that a single span from the future does not hold back
    all that comes after it.
    """

    def __init__(self, batches: Iterator[list[Span]]) -> None:
        self._batches = (batch for batch in batches if batch)
        self.batch: list[Span] | None = next(self._batches, None)
        self._next = next(self._batches, None)
        self.time = self._stands_at()

    def advance(self) -> None:
        """Go on to the next batch; None after the last."""
        self.batch, self._next = self._next, next(self._batches, None)
        self.time = self._stands_at()

    def _stands_at(self) -> int:
        return min((_time(batch) for batch in (self.batch, self._next) if batch), default=0)


def _time(batch: list[Span]) -> int:
    return sorted(span.end for span in batch)[len(batch) // 2]


def grouped(spans: Iterator[Span], on_gap: OnGap) -> Iterator[list[Span]]:
    """Yield the spans of each trace together, once."""
    held: OrderedDict[str, _Held] = OrderedDict()  # the one that waits longest first
    done: OrderedDict[str, None] = OrderedDict()
    total = late = 0
    for number, span in enumerate(spans):
        if span.trace_id in done:
            late += 1
            continue
        trace = held.get(span.trace_id)
        if trace is None:
            trace = held[span.trace_id] = _Held()
        held.move_to_end(span.trace_id)
        trace.last = number
        if len(trace.spans) >= LARGEST:
            on_gap(Gap("limit", f"trace {span.trace_id} has more than {LARGEST} spans; the others are left out"))
            continue
        trace.spans.append(span)
        total += 1
        while held:
            trace_id, trace = next(iter(held.items()))
            if total <= HELD and trace.last >= number - QUIET:
                break
            del held[trace_id]
            if total <= HELD and trace.is_open:  # a long request sends its stages long before itself
                held[trace_id], trace.last = trace, number
                continue
            total -= len(trace.spans)
            done[trace_id] = None
            if len(done) > REMEMBERED:
                done.popitem(last=False)
            yield trace.spans
    for trace in held.values():
        yield trace.spans
    if late:
        on_gap(Gap("late", f"{late} spans came so long after the rest of their traces that they are missing from them"))


class _Held:
    """A trace of which more may come."""

    __slots__ = ("last", "spans")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.last = 0

    @property
    def is_open(self) -> bool:
        """Whether it has stages, but not the synthesis that they belong to."""
        return any(stage_of(span) for span in self.spans) and not any(map(is_synthesis, self.spans))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Traces and log records in files of OTLP JSON lines: what exporters, or the Collector's archive, left in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from otel_tts import names
from otel_tts.readers import file_near, otlp_files, otlp_json
from otel_tts.readers.file_follow import follow
from otel_tts.readers.file_search import OfRequest, OfTraces, Search
from otel_tts.readers.file_slowest import Longest
from otel_tts.readers.file_traces import grouped, merged
from otel_tts.readers.filters import Filter, fits, is_within, line_fits
from otel_tts.readers.limits import NOTHING_ASKED, Best
from otel_tts.readers.model import Answer, Gap, LogLine, OnGap, Span, Stream, Synthesis
from otel_tts.readers.otlp_files import BadLine, OnBad
from otel_tts.readers.syntheses import of_trace

T = TypeVar("T")

MOST_NAMED: Final = 100
"""Traces with one request id that are looked for by their ids."""

MOST_SPANS: Final = 200_000
"""Spans that are held for one answer."""

_PACKED: Final = (".zst", ".bz2", ".xz", ".lz4", ".zip")


class Folder:
    """The files of one signal in a folder, whatever their writers add to the name, rotated and gzipped ones too."""

    def __init__(self, path: Path, signal: str) -> None:
        self.path, self._signal = path, signal

    def files(self, on_gap: OnGap) -> list[Path]:
        """The files that are there now; what cannot be read at all is told."""
        try:
            found = otlp_files.find(self.path, self._signal)
            if not found and not self.path.is_dir():
                raise NotADirectoryError(None, "no such folder")
        except OSError as error:
            on_gap(Gap("down", f"{self.path}: {error.strerror}"))
            return []
        if not found:
            on_gap(Gap("down", f"there is no {self._signal}*.jsonl* in {self.path}"))
        for path in found:
            if path.suffix in _PACKED:
                on_gap(Gap("unreadable", f"{path} is packed in a way that is not read here (gzip is)"))
        return [path for path in found if path.suffix not in _PACKED]

    def read(
        self,
        take: Callable[[Any], Iterator[T]],
        on_gap: OnGap,
        search: Search | None = None,
        wants: Callable[[bytes], bool] | None = None,
    ) -> Iterator[T]:
        """Yield what `take` finds in all files, file by file; `search` and `wants` as in `otlp_files.read_batches`."""
        skipped = Skipped(on_gap)
        for path in self.files(on_gap):
            for batch in readable(path, on_gap, otlp_files.read_batches(path, take, skipped, search, wants)):
                yield from batch
        skipped.tell()


class Skipped:
    """Counts lines that were left out; `tell` says so once, not for each."""

    def __init__(self, on_gap: OnGap) -> None:
        self._on_gap = on_gap
        self._count = 0
        self._first: BadLine | None = None

    def __call__(self, bad: BadLine) -> None:
        self._count += 1
        self._first = self._first or bad

    def tell(self) -> None:
        """Make a gap of what was counted."""
        if self._first is not None:
            more = f" (and {self._count - 1} more)" if self._count > 1 else ""
            self._on_gap(Gap("unreadable", f"{self._first}{more}"))


def readable(path: Path, on_gap: OnGap, items: Iterator[T]) -> Generator[T, None, None]:
    """Yield `items`; where the file fails under them, say so and end."""
    try:
        yield from items
    except OSError as error:
        on_gap(Gap("unreadable", f"{path}: {error.strerror or type(error).__name__}"))


class FileTraces:
    """`TraceStore` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder, otlp_files.TRACES)

    def __str__(self) -> str:
        return f"the files in {self._folder.path}"

    def paths(self) -> list[Path]:
        """The files that are there now."""
        return self._folder.files(lambda gap: None)

    def get(self, trace_id: str) -> Answer[Span]:
        """All spans of a trace, in order of start; none, and complete, where there is no such trace."""
        Filter(trace_id=trace_id)
        gaps: dict[Gap, None] = {}
        spans = self._spans_of([trace_id], gaps.setdefault)
        return Answer(_ordered(spans), tuple(gaps))

    def traces(self, trace_ids: Sequence[str]) -> Answer[tuple[Span, ...]]:
        """The spans of some traces, in the order asked, each in order of start; what is not there is left out."""
        gaps: dict[Gap, None] = {}
        found = self._whole({one: [] for one in trace_ids}, gaps.setdefault)
        return Answer(tuple(_ordered(spans) for spans in found.values() if spans), tuple(gaps))

    def named(self, request_id: str) -> Answer[tuple[Span, ...]]:
        """The spans of each trace in which a span has this request id, in order of start."""
        wanted = Filter(request_id=request_id)
        gaps: dict[Gap, None] = {}
        traces = self._traces_named(wanted, gaps.setdefault)
        if traces is None:
            return Answer((), (*gaps, Gap("limit", f"over {MOST_NAMED} traces have this id: ask for them by time")))
        return Answer(tuple(map(_ordered, traces.values())), tuple(gaps))

    def near(self, time: int, most: int, seconds: float) -> Answer[Synthesis]:
        """At most `most` syntheses that began about `time`, the closest first; as many as are read within `seconds`."""
        gaps: list[Gap] = []
        return Answer(tuple(file_near.near(self._folder.files(gaps.append), time, most, seconds)), tuple(gaps))

    def find(self, wanted: Filter) -> Answer[Synthesis]:
        """The newest syntheses that meet `wanted`, newest first. By request id also requests that came to none."""
        return self._best(wanted, lambda synthesis: synthesis.start)

    def slowest(self, wanted: Filter) -> Answer[Synthesis]:
        """The `wanted.limit` slowest of all that meet `wanted`, slowest first: by `wanted.stage` where one is named."""
        if wanted.stage is None and wanted.request_id is None and wanted.trace_id is None and 0 < wanted.limit <= 1000:
            return self._longest(wanted)
        return self._best(wanted, lambda one: one.seconds if wanted.stage is None else one.stages[wanted.stage])

    def syntheses(self, since: int | None = None, until: int | None = None) -> Stream[Synthesis]:
        """All that began in a period, each once, in bounded memory; their order is not promised.

        Spans of a trace may lie apart in the files; those that lie very far apart are told.
        """
        wanted = Filter(since=since, until=until)
        return Stream(lambda on_gap: (one for one in self._all(on_gap) if is_within(one.start, wanted)))

    def _best(self, wanted: Filter, key: Callable[[Synthesis], float]) -> Answer[Synthesis]:
        if not wanted.limit:
            return Answer((), (NOTHING_ASKED,))
        best = Best(wanted.limit, key)
        named = wanted.request_id is not None or wanted.trace_id is not None
        stream = Stream(lambda on_gap: self._named(wanted, on_gap) if named else self._all(on_gap))
        for synthesis in stream:
            if fits(synthesis, wanted):
                best.take(synthesis)
        return best.answer(stream.gaps)

    def _longest(self, wanted: Filter) -> Answer[Synthesis]:
        """The slowest by their own spans, without parsing lines that hold none; then their traces."""
        longest = Longest(wanted.limit)
        gaps: dict[Gap, None] = {}
        for span in self._folder.read(otlp_json.spans, gaps.setdefault, wants=longest.wants):
            if longest.is_one(span) and all(fits(one, wanted) for one in of_trace([span])):
                longest.take(span)
        best = Best[Synthesis](wanted.limit, lambda one: one.seconds)
        for spans in self._whole({trace_id: [] for trace_id, _ in longest.kept}, gaps.setdefault).values():
            for one in of_trace(spans):
                if (one.trace_id, one.span_id) in longest.kept:
                    best.take(one)
        best.more = longest.more
        return best.answer(tuple(gaps))

    def _all(self, on_gap: OnGap, bare: bool = False) -> Iterator[Synthesis]:
        skipped = Skipped(on_gap)

        def open_file(path: Path, on_bad: OnBad = skipped) -> Generator[list[Span], None, None]:
            return readable(path, on_gap, otlp_files.read_batches(path, otlp_json.spans, on_bad))

        for spans in grouped(merged(self._folder.files(on_gap), open_file), on_gap):
            yield from of_trace(spans, bare)
        skipped.tell()

    def _named(self, wanted: Filter, on_gap: OnGap) -> Iterator[Synthesis]:
        traces = self._traces_named(wanted, on_gap)
        if traces is None:
            yield from self._all(on_gap, bare=True)
            return
        for spans in traces.values():
            yield from of_trace(spans, bare=True)

    def _traces_named(self, wanted: Filter, on_gap: OnGap) -> dict[str, list[Span]] | None:
        """The traces by their id, or by a request's; None where very many have it: a client that sends the same one."""
        if wanted.trace_id is not None:
            return self._whole({wanted.trace_id: []}, on_gap)
        traces: dict[str, list[Span]] = {}
        for span in self._folder.read(otlp_json.spans, on_gap, _search(wanted.request_id)):
            if span.attributes.get(names.REQUEST_ID) == wanted.request_id:
                traces[span.trace_id] = []
                if len(traces) > MOST_NAMED:
                    return None
        return self._whole(traces, on_gap)

    def _whole(self, traces: dict[str, list[Span]], on_gap: OnGap) -> dict[str, list[Span]]:
        for span in self._spans_of(list(traces), on_gap):
            traces[span.trace_id].append(span)
        return traces

    def _spans_of(self, trace_ids: list[str], on_gap: OnGap) -> Iterator[Span]:
        if not trace_ids:
            return
        known = frozenset(trace_ids)
        seen: set[tuple[str, int, int]] = set()
        for span in self._folder.read(otlp_json.spans, on_gap, OfTraces(trace_ids)):
            key = (span.span_id, span.start, span.end)
            if span.trace_id in known and key not in seen:
                if len(seen) >= MOST_SPANS:
                    on_gap(Gap("limit", f"more than {MOST_SPANS} spans were found; the others are left out"))
                    return
                seen.add(key)
                yield span


class FileLogs:
    """`LogStore` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder, otlp_files.LOGS)

    def __str__(self) -> str:
        return f"the files in {self._folder.path}"

    def paths(self) -> list[Path]:
        """The files that are there now."""
        return self._folder.files(lambda gap: None)

    def find(self, wanted: Filter) -> Answer[LogLine]:
        """The newest records that meet `wanted`, newest first."""
        if not wanted.limit:
            return Answer((), (NOTHING_ASKED,))
        best = Best[LogLine](wanted.limit, lambda line: line.time)
        gaps: dict[Gap, None] = {}
        search = _search(wanted.request_id) if wanted.trace_id is None else OfTraces([wanted.trace_id])
        for line in self._folder.read(otlp_json.logs, gaps.setdefault, search):
            if line_fits(line, wanted):
                best.take(line)
        return best.answer(tuple(gaps))

    def follow(self, wanted: Filter, on_gap: OnGap, patience: float | None = None) -> Iterator[LogLine]:
        """Wait for records that meet `wanted` and yield each as it comes, from `wanted.since` on (else from now).

        Files that were gzipped before are read only where `wanted.since` is given.
        """
        lines = follow(self._folder.files, otlp_json.logs, wanted.since is not None, on_gap, patience)
        return (line for line in lines if line_fits(line, wanted))


def _ordered(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.start, span.span_id)))


def _search(request_id: str | None) -> Search | None:
    """Finds the lines with this id, where JSON has one way only to write it; else there is nothing to go by."""
    plain = re.fullmatch(r"[A-Za-z0-9._:-]+", request_id or "")
    return OfRequest(request_id) if request_id is not None and plain else None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What stores of traces with a search over HTTP have in common: candidates, step by step in time, each checked here."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from otel_tts import names
from otel_tts.readers.asked import AskedStore
from otel_tts.readers.filters import Filter, fits
from otel_tts.readers.http import StoreError, TooLarge
from otel_tts.readers.limits import NOTHING_ASKED, Best, bounded, closest, count_asked_for, over
from otel_tts.readers.model import Answer, Gap, OnGap, Span, Stream, Synthesis
from otel_tts.readers.syntheses import of_trace
from otel_tts.readers.windows import HOUR_NS, walk

_SLOW_S: Final = (60.0, 20.0, 7.0, 2.0, 0.7, 0.2)
"""Seconds to begin with when the slowest are looked for: each step finds a few times as many as the one before."""

_NEAR: Final = 30 * 10**9
_FAR: Final = 1024 * _NEAR
"""Nanoseconds to both sides of a time: from the first period that is asked for to the last, eight hours. The first is
short: a busy service has more in it than is wanted, and a question is answered as a whole."""

_FAILURES: Final = frozenset({"down", "refused", "unreadable"})
"""Gaps after which asking for more makes no sense."""


class SearchedTraces(AskedStore):
    """A `TraceStore` over `trace` and `candidates` of a certain kind of store."""

    longest = 2**63
    """Nanoseconds of the longest period in one question."""

    smallest = 1000
    """Nanoseconds of the shortest period that the store can tell apart."""

    def trace(self, trace_id: str, on_gap: OnGap) -> list[Span]:
        """All spans of a trace, none where there is no such trace. Raises StoreError."""
        raise NotImplementedError

    def candidates(self, wanted: Filter, begin: int, end: int, on_gap: OnGap) -> tuple[Iterable[list[Span]], bool]:
        """Whole traces, each once, with at least all that meet `wanted` and began from `begin` to before `end`.

        And whether the store had more than it said. Raises StoreError, then or when a trace is taken: they may be
        large, and are read one after the other.
        """
        raise NotImplementedError

    def each(self, ids: Iterable[str], on_gap: OnGap) -> Iterator[list[Span]]:
        """The traces of these ids; one that is larger than is read is left out and told. Raises StoreError."""
        for one in ids:
            try:
                yield self.trace(one, on_gap)
            except TooLarge as error:
                on_gap(Gap("limit", f"trace {one} is left out: {error}"))

    def get(self, trace_id: str) -> Answer[Span]:
        """All spans of a trace, in order of start; none, and complete, where there is no such trace."""
        Filter(trace_id=trace_id)
        gaps: list[Gap] = []
        try:
            spans = self.trace(trace_id, gaps.append)
        except StoreError as error:
            return Answer((), (error.gap,))
        return Answer(tuple(sorted(spans, key=lambda span: (span.start, span.span_id))), tuple(gaps))

    def traces(self, trace_ids: Sequence[str]) -> Answer[tuple[Span, ...]]:
        """The spans of some traces, in the order asked, each in order of start; what is not there is left out."""

        def read(on_gap: OnGap) -> Iterator[tuple[Span, ...]]:
            try:
                for spans in self.each(trace_ids, on_gap):
                    if spans:
                        yield tuple(sorted(spans, key=lambda span: (span.start, span.span_id)))
            except StoreError as error:
                on_gap(error.gap)

        return Stream(read).collect()

    def named(self, request_id: str) -> Answer[tuple[Span, ...]]:
        """The spans of each trace in which a span has this request id, in order of start."""
        wanted = Filter(request_id=request_id)

        def read(on_gap: OnGap) -> Iterator[tuple[Span, ...]]:
            def ask(begin: int, end: int) -> tuple[list[list[Span]], bool]:
                traces, full = self.candidates(wanted, begin, end, on_gap)
                return [spans for spans in traces if _has(spans, request_id)], full

            since, gaps = bounded(self, None, self.keeps_seconds(), self.longest)
            for gap in gaps:
                on_gap(gap)
            for step in walk(ask, since, None, on_gap, self.longest, self.smallest, self.longest):
                yield from (tuple(sorted(spans, key=lambda span: (span.start, span.span_id))) for spans in step)

        stream = Stream(read)
        found = {spans[0].trace_id: spans for spans in stream}  # a trace may lie in two steps
        return Answer(tuple(found.values()), stream.gaps)

    def near(self, time: int, most: int, seconds: float) -> Answer[Synthesis]:
        """At most `most` syntheses that began about `time`, the closest first; as many as are read within `seconds`.

        Canaries are not counted. First what is close to the time is read, then what lies around that, four times as
        long each.
        """
        until, reach, inner = clock.monotonic() + seconds, _NEAR, 0
        found: list[Synthesis] = []
        gaps: dict[Gap, None] = {}
        while count_asked_for(found) < most and clock.monotonic() < until and reach <= _FAR:
            rings = (
                [(time - reach, time - inner), (time + inner, time + reach)]
                if inner
                else [(time - reach, time + reach)]
            )
            for begin, end in rings:
                if end <= 0 or begin > clock.time_ns():
                    continue
                wanted = Filter(since=max(0, begin), until=end)
                stream = Stream(lambda on_gap, wanted=wanted: self._answers(wanted, on_gap))
                for several in stream:  # what was answered is there: all of it counts
                    found += several
                    if clock.monotonic() > until:
                        break
                gaps |= dict.fromkeys(stream.gaps)
            if any(gap.why in _FAILURES for gap in gaps):
                break
            reach, inner = 4 * reach, reach
        return Answer(tuple(closest(found, time, most)), tuple(gaps))

    def find(self, wanted: Filter) -> Answer[Synthesis]:
        """The newest syntheses that meet `wanted`, newest first. By request id also requests that came to none."""
        if not wanted.limit:
            return Answer((), (NOTHING_ASKED,))
        stream = Stream(lambda on_gap: self._matching(wanted, on_gap))
        found: list[Synthesis] = []
        for synthesis in stream:
            if len(found) == wanted.limit:
                return Answer(tuple(found), (*stream.gaps, over(wanted.limit)))
            found.append(synthesis)
        return Answer(tuple(found), stream.gaps)

    def slowest(self, wanted: Filter) -> Answer[Synthesis]:
        """The `wanted.limit` slowest of all that meet `wanted`, slowest first: by `wanted.stage` where one is named.

        Stores have no order by duration: first very slow ones are looked for, then less slow ones.
        """
        if not wanted.limit:
            return Answer((), (NOTHING_ASKED,))
        least = wanted.least_seconds or 0.0
        # A stage may be slow in parts of which none is, so there is no telling which traces to leave out.
        for limit in (one for one in _SLOW_S if one > least and wanted.stage is None):
            best, gaps = self._slower_than(limit, wanted)
            if best.more or any(gap.why in _FAILURES for gap in gaps):
                return best.answer(gaps)
        best, gaps = self._slower_than(least, wanted)
        return best.answer(gaps)

    def syntheses(self, since: int | None = None, until: int | None = None) -> Stream[Synthesis]:
        """All that began in a period, each once, in bounded memory; their order is not promised."""
        wanted = Filter(since=since, until=until)
        return Stream(lambda on_gap: self._matching(wanted, on_gap))

    def _slower_than(self, seconds: float, wanted: Filter) -> tuple[Best[Synthesis], tuple[Gap, ...]]:
        best = Best[Synthesis](wanted.limit, lambda one: _slowness(one, wanted))
        asked = replace(wanted, least_seconds=seconds or None)
        stream = Stream(lambda on_gap: self._matching(asked, on_gap))
        for synthesis in stream:
            best.take(synthesis)
        return best, stream.gaps

    def _matching(self, wanted: Filter, on_gap: OnGap) -> Iterator[Synthesis]:
        """All that meet `wanted`, newest first."""
        for several in self._answers(wanted, on_gap):
            yield from several

    def _answers(self, wanted: Filter, on_gap: OnGap) -> Iterator[list[Synthesis]]:
        """The same, as the store's answers bring them."""

        def fitting(traces: Iterable[Iterable[Span]], here: Filter) -> list[Synthesis]:
            made = (one for spans in traces for one in of_trace(spans, bare=wanted.request_id is not None))
            return sorted((one for one in made if fits(one, here)), key=lambda one: one.start, reverse=True)

        def ask(begin: int, end: int) -> tuple[list[Synthesis], bool]:
            traces, full = self.candidates(wanted, begin, end, on_gap)
            return fitting(traces, replace(wanted, since=begin, until=end)), full

        since, gaps = bounded(self, wanted.since, self.keeps_seconds(), self.longest)
        for gap in gaps:
            on_gap(gap)
        if wanted.trace_id is not None:
            answer = self.get(wanted.trace_id)
            for gap in answer.gaps:
                on_gap(gap)
            yield fitting([answer], wanted)
            return
        # An id is rare: all of the time at once. Others are many: the newest first.
        first = self.longest if wanted.request_id is not None else HOUR_NS
        yield from walk(ask, since, wanted.until, on_gap, self.longest, self.smallest, first)


def trace_ids(found: Iterable[Any]) -> list[str]:
    """The ids under `traceID`, each once; leading zeros may have been left out. Raises ValueError for what is no id."""
    ids = [str(one["traceID"]).lower().zfill(32) for one in found]
    if not all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids):
        raise ValueError("no trace id")
    return list(dict.fromkeys(ids))


def _has(spans: Iterable[Span], request_id: str) -> bool:
    return any(span.attributes.get(names.REQUEST_ID) == request_id for span in spans)


def _slowness(synthesis: Synthesis, wanted: Filter) -> float:
    return synthesis.seconds if wanted.stage is None else synthesis.stages[wanted.stage]

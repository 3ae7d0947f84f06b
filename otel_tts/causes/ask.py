# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Asks the stores for a request, or for many, and for what they are compared with."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from otel_tts import names
from otel_tts.causes import explain
from otel_tts.causes.explain import Why
from otel_tts.causes.period import Period
from otel_tts.readers.filters import Filter, fits
from otel_tts.readers.model import Answer, Gap, LogLine, Span, Synthesis
from otel_tts.readers.stores import LogStore, TraceStore
from otel_tts.readers.syntheses import of_trace

COMPARED: Final = 500
"""Requests that one is compared with, where no period is given."""

SECONDS: Final = 0.4
"""For reading them; a store that takes longer is compared with fewer."""

_LINES: Final = 500
_SYNTHESES: Final = 20
"""Of one request that are shown."""


@dataclass(frozen=True)
class Found:
    """One synthesis (or a request that came to none): its trace, the lines of its trace, and why it went as it did."""

    synthesis: Synthesis
    spans: tuple[Span, ...]
    lines: tuple[LogLine, ...]
    why: Why


@dataclass(frozen=True)
class Report:
    """What was found of one request; `period` is what it was compared with, `gaps` what may be missing."""

    requests: tuple[Found, ...]
    period: Period
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Overview:
    """The requests that meet a question, and what the slow and failed ones of the period share."""

    requests: tuple[Synthesis, ...]
    period: Period
    why: Why
    gaps: tuple[Gap, ...] = field(default=())


def one(request_id: str, traces: TraceStore, logs: LogStore | None) -> Report:
    """A request by its id, or by its trace's. Raises ValueError for what is no id."""
    answer = traces.named(request_id)
    gaps = list(answer.gaps)
    found = [(made, spans) for spans in answer for made in of_trace(spans, bare=True) if _is_named(made, request_id)]
    if not found and re.fullmatch(r"[0-9a-fA-F]{32}", request_id):
        by_trace = traces.get(request_id.lower())
        gaps += by_trace.gaps
        found = [(made, by_trace.items) for made in of_trace(by_trace, bare=True)]
    if len(found) > _SYNTHESES:
        gaps.append(Gap("limit", f"it has {len(found)} syntheses; {_SYNTHESES} are shown"))
    if not found:
        return Report((), Period(), _each_once(gaps))
    near = traces.near(found[0][0].start, COMPARED, SECONDS)
    period = Period(near)
    gaps += near.gaps
    requests: list[Found] = []
    for synthesis, spans in found[:_SYNTHESES]:
        lines = _lines(logs, synthesis, request_id) if logs is not None else Answer(())
        gaps += lines.gaps
        requests.append(Found(synthesis, spans, lines.items, explain.of_request(synthesis, spans, period)))
    return Report(tuple(requests), period, _each_once(gaps))


def many(
    wanted: Filter, traces: TraceStore, slowest: bool = False, count: Callable[[int], None] = lambda read: None
) -> Overview:
    """The newest, or the slowest, that meet `wanted`. Where it has a time all of that time is compared.

    `count` is told from time to time how many were read.
    """
    answer = traces.slowest(wanted) if slowest else traces.find(wanted)
    gaps = list(answer.gaps)
    period = Period()
    if wanted.since is not None:
        stream = traces.syntheses(wanted.since, wanted.until)
        of_these = Filter(engine=wanted.engine, service=wanted.service)
        for read, synthesis in enumerate(stream, 1):
            if fits(synthesis, of_these):
                period.add(synthesis)
            if read % 1000 == 0:
                count(read)
        gaps += stream.gaps
    elif answer.items:
        near = traces.near(answer.items[0].start, 2 * COMPARED, 2 * SECONDS)
        period = Period(near)
        gaps += near.gaps
    return Overview(answer.items, period, explain.of_period(period), _each_once(gaps))


def similar(request_id: str, traces: TraceStore) -> list[str]:
    """Ids of recent requests that are written like one that is not there, the most similar first."""
    recent = [str(made.request_id) for made in traces.near(time.time_ns(), 2 * COMPARED, SECONDS) if made.request_id]
    containing = [one for one in dict.fromkeys(recent) if request_id in one]
    close = difflib.get_close_matches(request_id, recent, n=5, cutoff=0.7)
    return list(dict.fromkeys([*containing[:5], *close]))[:5]


def oldest(traces: TraceStore) -> int | None:
    """When about the oldest request began that the store has; None where that is not known."""
    keeps: Callable[[], float | None] | None = getattr(traces, "keeps_seconds", None)
    if keeps is not None:
        seconds = keeps()
        return None if seconds is None else time.time_ns() - round(seconds * 1e9)
    return min((made.start for made in traces.near(0, 10, SECONDS)), default=None)


def _is_named(synthesis: Synthesis, request_id: str) -> bool:
    """Its own id, or that of the request it is one of several in."""
    own = (synthesis.request_id, synthesis.attributes.get(names.REQUEST_OFFERED))
    return request_id in (*own, synthesis.root.attributes.get(names.REQUEST_ID))


def _lines(logs: LogStore, synthesis: Synthesis, request_id: str) -> Answer[LogLine]:
    """The lines of its trace, in order; without a trace those with its id."""
    # A store that is asked about all of time looks through all of it.
    about = Filter(since=max(0, synthesis.start - 3600 * 10**9), until=synthesis.end + 3600 * 10**9, limit=_LINES)
    found = logs.find(replace(about, trace_id=synthesis.trace_id))
    if not found.items:
        found = logs.find(replace(about, request_id=request_id))
    return Answer(tuple(sorted(found, key=lambda line: line.time)), found.gaps)


def _each_once(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    return tuple(dict.fromkeys(gaps))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What stores of log records with a search over HTTP have in common: steps in time, checked here; following."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from otel_tts import names
from otel_tts.readers.asked import AskedStore
from otel_tts.readers.filters import Filter, line_fits
from otel_tts.readers.limits import NOTHING_ASKED, bounded, over
from otel_tts.readers.model import Answer, Gap, LogLine, OnGap, Stream
from otel_tts.readers.windows import walk

PAUSE_S: Final = 1.0
"""Seconds between two questions while following."""

LATE_NS: Final = 30 * 10**9
"""Time that a record may be on its way and is still seen while following."""

BURST: Final = 10_000
"""Records that one question of following returns at most."""

_TYPES: Final = {one.key: one.type for one in names.ATTRIBUTES}
_OF_RESOURCES: Final = (
    "service.", "telemetry.", "deployment.", "host.", "k8s.", "container.", "cloud.", "os.", "process.", "tts.runtime.",
)  # fmt: skip


class SearchedLogs(AskedStore):
    """A `LogStore` over `lines` of a certain kind of store."""

    longest = 2**63
    """Nanoseconds of the longest period in one question."""

    def lines(self, wanted: Filter, begin: int, end: int) -> tuple[list[LogLine], bool]:
        """At least all records that meet `wanted`, from `begin` to before `end`, and whether the store had more.

        Raises StoreError.
        """
        raise NotImplementedError

    def find(self, wanted: Filter) -> Answer[LogLine]:
        """The newest records that meet `wanted`, newest first."""
        if not wanted.limit:
            return Answer((), (NOTHING_ASKED,))
        stream = Stream(lambda on_gap: self._matching(wanted, on_gap))
        found: list[LogLine] = []
        for line in stream:
            if len(found) == wanted.limit:
                return Answer(tuple(found), (*stream.gaps, over(wanted.limit)))
            found.append(line)
        return Answer(tuple(found), stream.gaps)

    def follow(self, wanted: Filter, on_gap: OnGap, patience: float | None = None) -> Iterator[LogLine]:
        """Wait for records that meet `wanted` and yield each as it comes, from `wanted.since` on (else from now).

        The store is asked each second; a record that comes over half a minute late is not seen. Goes on through a store
        that is down, which `on_gap` is told. Ends after `patience` seconds without a record, never where that is None.
        """
        start = wanted.since if wanted.since is not None else time.time_ns()
        return self._follow(replace(wanted, since=start), start, on_gap, patience)

    def _follow(self, wanted: Filter, start: int, on_gap: OnGap, patience: float | None) -> Iterator[LogLine]:
        seen: Counter[str] = Counter()  # of what lies within LATE_NS: the same record twice is two
        times: dict[str, int] = {}
        told: set[Gap] = set()
        since, quiet_since = start, time.monotonic()
        while True:
            answer = self.find(replace(wanted, since=since, limit=BURST))
            for gap in set(answer.gaps) - told:
                on_gap(gap)
            told = set(answer.gaps)
            here: Counter[str] = Counter()
            for line in reversed(answer.items):
                key = _identity(line)
                here[key] += 1
                if here[key] > seen[key]:
                    seen[key], times[key] = here[key], line.time
                    quiet_since = time.monotonic()
                    yield line
            if answer.complete:
                since = max(start, since, time.time_ns() - LATE_NS)
            for key in [key for key, at in times.items() if at < since]:
                del seen[key], times[key]
            if patience is not None and time.monotonic() - quiet_since > patience:
                return
            time.sleep(PAUSE_S)

    def _matching(self, wanted: Filter, on_gap: OnGap) -> Iterator[LogLine]:
        def ask(begin: int, end: int) -> tuple[list[LogLine], bool]:
            lines, full = self.lines(wanted, begin, end)
            here = replace(wanted, since=begin, until=end)
            return [line for line in lines if line_fits(line, here)], full

        keeps = self.keeps_seconds() if wanted.since is not None or self.longest < 2**63 else None
        since, gaps = bounded(self, wanted.since, keeps, self.longest)
        for gap in gaps:
            on_gap(gap)
        for step in walk(ask, since, wanted.until, on_gap, self.longest):
            yield from sorted(step, key=lambda line: line.time, reverse=True)


def _identity(line: LogLine) -> str:
    """What tells a record from others; a store may say its attributes in another order each time."""
    said = sorted([*line.attributes.items(), *line.resource.items()], key=repr)
    return repr((line.time, line.trace_id, line.span_id, line.event_name, line.body, said))


def typed(key: str, text: str) -> Any:
    """`text` as the type that an attribute of ours has; these stores keep text only."""
    try:
        match _TYPES.get(key):
            case "int":
                return int(text)
            case "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "string[]":
                return json.loads(text)
            case _:
                return text
    except (ValueError, KeyError):
        return text


def is_of_resource(key: str) -> bool:
    """Whether an attribute is one of a resource, by its name: these stores do not keep them apart."""
    return key.startswith(_OF_RESOURCES)

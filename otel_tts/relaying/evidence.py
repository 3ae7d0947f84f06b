# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an alert is told with: the last failing lines, and the slowest request with its stages and why.

It is asked for within a time; what a store does not say by then is missing, and the message says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from otel_tts import names
from otel_tts.causes import ask
from otel_tts.causes.ask import Found
from otel_tts.readers.files import FileTraces
from otel_tts.readers.filters import LONGEST, Filter
from otel_tts.readers.model import Answer, Gap, LogLine, Synthesis
from otel_tts.readers.stores import LogStore, TraceStore
from otel_tts.relaying.alerts import Group

LINES: Final = 10
PATIENCE_S: Final = 20.0
"""Seconds that a message waits for the stores."""

BEFORE_NS: Final = 15 * 60 * 10**9
"""An alert's rule looks back some minutes: what made it fire began before it."""

_LONGEST_NS: Final = 3600 * 10**9
_STEPS_S: Final = (60.0, 20.0, 7.0, 2.0, None)

_LINES, _TRACES = "log lines", "traces"

T = TypeVar("T")


@dataclass(frozen=True)
class Evidence:
    """`since` is how far back was looked (Unix nanoseconds), `missing` what could not be had, in sentences."""

    since: int
    lines: tuple[LogLine, ...] = ()
    slowest: Found | None = None
    missing: tuple[str, ...] = ()


class Witness:
    """Asks two stores, which are chosen anew each time: the stack may be started after the relay.

    `traces` and `logs` raise where there is no store; whatever they or the stores raise is missing from the answer.
    """

    def __init__(
        self, traces: Callable[[], TraceStore], logs: Callable[[], LogStore], patience_s: float = PATIENCE_S
    ) -> None:
        self._traces, self._logs, self._patience_s = traces, logs, patience_s
        self._rooms = {what: threading.Semaphore() for what in (_LINES, _TRACES)}

    def ask(self, group: Group) -> Evidence:
        """What is known about a group's service since shortly before the first of its alerts. Never raises."""
        now = time.time_ns()
        first = min((one.starts for one in group.alerts if one.starts), default=now)
        since = max(0, min(max(first - BEFORE_NS, now - _LONGEST_NS), now - BEFORE_NS))
        service = group.service[:LONGEST] or None
        missing: list[str] = []
        asked = (
            self._begin(_LINES, lambda: self._failures(since, service)),
            self._begin(_TRACES, lambda: self._slowest(since, service)),
        )
        until = time.monotonic() + self._patience_s
        lines, slowest = asked[0].wait(until, missing), asked[1].wait(until, missing)
        return Evidence(since, lines or (), slowest, tuple(dict.fromkeys(missing)))

    def _begin(self, what: str, call: Callable[[], tuple[T, tuple[Gap, ...]]]) -> _Question[T]:
        question = _Question(what, call, self._rooms[what])
        question.begin()
        return question

    def _failures(self, since: int, service: str | None) -> tuple[tuple[LogLine, ...], tuple[Gap, ...]]:
        found = self._logs().find(Filter(since=since, service=service, event=names.REQ_FAIL, limit=LINES))
        return found.items, _lacking(found.gaps)

    def _slowest(self, since: int, service: str | None) -> tuple[Found | None, tuple[Gap, ...]]:
        store = self._traces()
        found = _slowest_of(store, Filter(since=since, service=service, limit=1))
        if not found.items:
            return None, _lacking(found.gaps)
        report = ask.one(found.items[0].trace_id, store, None)
        named = [one for one in report.requests if one.synthesis.span_id == found.items[0].span_id]
        return next(iter(named or report.requests), None), _lacking((*found.gaps, *report.gaps))


def _slowest_of(store: TraceStore, wanted: Filter) -> Answer[Synthesis]:
    """The slowest. A server is asked for the very slow ones first: it finds them by itself, instead of telling all."""
    steps = (None,) if isinstance(store, FileTraces) else _STEPS_S
    found = Answer[Synthesis](())
    for least in steps:
        found = store.slowest(replace(wanted, least_seconds=least))
        if found.items or _lacking(found.gaps):
            return found
    return found


class _Question(Generic[T]):
    """One question on a thread of its own. While an earlier one about the same hangs no other is asked: only the first
    message waits for a store that does not answer, and one thread hangs."""

    def __init__(self, what: str, call: Callable[[], tuple[T, tuple[Gap, ...]]], room: threading.Semaphore) -> None:
        self._what, self._call, self._room = what, call, room
        self._done = threading.Event()
        self._answer: tuple[T | None, tuple[str, ...]] = (None, ())

    def begin(self) -> None:
        """Ask; where an earlier question hangs it stays unanswered."""
        if not self._room.acquire(blocking=False):
            self._answer = (None, (f"no {self._what}: the store does not answer earlier questions",))
            self._done.set()
            return
        threading.Thread(target=self._run, name="otel-tts-relay-question", daemon=True).start()

    def wait(self, until: float, missing: list[str]) -> T | None:
        """The answer, or None where there is none by `until` (monotonic); `missing` gets what it lacks."""
        if not self._done.wait(max(0.0, until - time.monotonic())):
            missing.append(f"no {self._what}: the store did not answer in time")
            return None
        answer, lacks = self._answer
        missing.extend(lacks)
        return answer

    def _run(self) -> None:
        try:
            found, gaps = self._call()
            self._answer = (found, tuple(str(gap) for gap in gaps))
        except Exception as error:  # a foreign store's answer, or none to ask: the alert is told all the same
            said = str(error) if type(error).__name__ == "NoStore" else type(error).__name__
            self._answer = (None, (f"no {self._what}: {said}",))
        finally:
            self._done.set()
            self._room.release()


def _lacking(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Without those that were asked for: there are more failures than ten."""
    return tuple(gap for gap in gaps if gap.why != "limit")

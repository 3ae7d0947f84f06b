# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A job of a queue: taken from its caller's context when it was handed in, with the time that it waited.

The job's span, its `tts.queue` and its request exist from the moment when work on it begins; they are kept only where
the job came to a synthesis, or ended badly although its function is known to make some. A page has many functions that
never do (one for each keystroke, say), and nothing is known of a function before it has run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.trace import Link

from otel_tts import names
from otel_tts.engines.table import Engine
from otel_tts.guard import contain
from otel_tts.otel_private.context import current_context
from otel_tts.record import PlainSpan, now
from otel_tts.recording import request
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.synthesis import Synthesis

_IDENTITY: Final = (names.ENGINE, names.ENGINE_VERSION, names.PROVIDER, names.MODEL)


@dataclass(frozen=True, slots=True)
class _Maker:
    """What a function makes: the engine of its newest synthesis."""

    engine: Engine | None
    facts: dict[str, Any]


_makers: Final[WeakKeyDictionary[Any, _Maker]] = WeakKeyDictionary()
"""The functions that have made a synthesis."""


class Job:
    """One job: made when it is handed in, in its caller's context."""

    def __init__(self, function: Any, name: str | None, job_id: str) -> None:
        """Note the caller, the time and the id: the caller's own, else `job_id`, which it is told in the answer."""
        self._function, self._name = function, name
        self.handed_in = now()
        self._wall = time.time_ns() - self.handed_in
        self.context: Context = current_context()
        web = request.current.get()
        if web is not None and not web.given:
            _rename(web, request.accept_id(job_id))
        self.id = web.id if web is not None else request.accept_id(job_id)
        self._asked = web.started if web is not None else self.handed_in
        self._canary = web is not None and web.canary
        self._picked_up: int | None = None
        self._answered: int | None = None
        self._span: PlainSpan | None = None
        self._made: list[Synthesis] = []
        self._ended = False
        self.cancelled = False
        if (recorder := current_recorder()) is not None:
            recorder.jobs[id(self)] = self

    def begin(self) -> request.Request:
        """Work begins, for as long as until `end`: return the request that syntheses of this job are made for."""
        self._picked_up = now()
        self._open_span()
        return request.Request(self.id, self._asked, self._span, given=True, begun=self.take, canary=self._canary)

    def take(self, synthesis: Synthesis) -> None:
        """A synthesis has begun for this job."""
        self._remember(synthesis)
        contain("job", _learn, self._function, synthesis)
        if self.cancelled:
            synthesis.attrs[names.OUTCOME] = names.Outcome.CANCELLED

    def _remember(self, synthesis: Synthesis) -> None:
        """Keep the newest, and those that are open: a job may make thousands, or never end."""
        self._made = [*(made for made in self._made if made.t1 is None), synthesis]

    def cancel(self) -> None:
        """Nobody waits for it any more. What it is making goes on, for nobody."""
        self.cancelled = True
        for synthesis in self._made:
            if synthesis.t1 is None:
                synthesis.attrs[names.OUTCOME] = names.Outcome.CANCELLED

    def answer(self) -> None:
        """There is a result, or one more of several: when the last one is there the job is done."""
        self._answered = now()

    def fail(self, error: BaseException) -> None:
        """The page's function, or what the page makes of its result, has failed."""
        self.answer()
        if self._span is not None:
            self._span.fail(error)

    def end(self) -> None:
        """Work is over, or the job was given up before it began. Only the first call counts."""
        if self._ended:
            return
        self._ended = True
        for synthesis in self._made[-1:]:  # by now it knows its engine, whoever began it
            _learn(self._function, synthesis)
        maker, recorder = _makers.get(self._function), current_recorder()
        if recorder is not None:
            recorder.jobs.pop(id(self), None)
        if maker is None or recorder is None:
            return
        span = self._span or self._open_span()
        failed = span is not None and span.status is not None
        if span is None or not (self._made or self.cancelled or failed):
            return
        if self.cancelled or failed:
            span.attrs[names.OUTCOME] = names.Outcome.CANCELLED if self.cancelled else names.Outcome.ERROR
        ended = now() if self.cancelled or self._answered is None else self._answered  # then its queue tidies up
        self._note_waiting(recorder, span, maker, self._picked_up or ended)
        span.t1 = ended
        recorder.finish(span)

    def _note_waiting(self, recorder: Recorder, span: PlainSpan, maker: _Maker, until: int) -> None:
        attrs: dict[str, Any] = {names.STAGE: names.Stage.QUEUE}
        if (engine := maker.facts.get(names.ENGINE)) is not None:
            attrs[names.ENGINE] = engine
        if self._canary:
            attrs[names.CANARY] = True
        waited = recorder.span(names.SPAN_QUEUE, span.inside, self.handed_in, self._wall, attrs)
        waited.t1 = until
        recorder.finish(waited)

    def _open_span(self) -> PlainSpan | None:
        recorder = current_recorder()
        if recorder is None:
            return None
        name = f"{names.SPAN_JOB} {self._name}" if self._name else names.SPAN_JOB
        self._span = recorder.span(name, self.context, self.handed_in, self._wall, {names.REQUEST_ID: self.id})
        self.context = self._span.inside
        return self._span

    def link_to(self, synthesis: Synthesis) -> None:
        """One synthesis serves several jobs: say so on both sides, since a span has one parent only."""
        if self._span is not None:
            self._remember(synthesis)
            self._span.add_link(synthesis.identity)
            synthesis.links = (*synthesis.links, Link(self._span.identity))
            _learn(self._function, synthesis)


class Batch:
    """Jobs that are worked on in one call: what the call makes belongs to each of them, and so to none's trace."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self.context = Context()

    def begin(self) -> request.Request:
        """Say that work on all jobs begins; return the request that it is, with an id of its own."""
        for job in self._jobs:
            job.begin()
        return request.Request(request.new_id(), min(job.handed_in for job in self._jobs), begun=self.take)

    def take(self, synthesis: Synthesis) -> None:
        for job in self._jobs:
            contain("job", job.link_to, synthesis)

    def answer(self) -> None:
        for job in self._jobs:
            job.answer()

    def fail(self, error: BaseException) -> None:
        for job in self._jobs:
            job.fail(error)

    def cancel(self) -> None:
        for job in self._jobs:
            job.cancelled = True

    def end(self) -> None:
        for job in self._jobs:
            job.end()


def refuse(function: Any) -> None:
    """A full queue has refused a job of `function`: a synthesis that was rejected, where it would have made one."""
    recorder, maker = current_recorder(), _makers.get(function)
    if recorder is not None and maker is not None:
        refused = Synthesis(recorder, dict(maker.facts), maker.engine).start()
        refused.reject()
        refused.finish()


def _learn(function: Any, synthesis: Synthesis) -> None:
    facts = {key: synthesis.attrs[key] for key in _IDENTITY if key in synthesis.attrs}
    _makers[function] = _Maker(synthesis.engine, facts)


def _rename(web: request.Request, job_id: str) -> None:
    """The id that the caller is told in the answer's body is also the request's, in its header and on its span."""
    web.id = job_id
    if web.span is not None:
        web.span.set_attribute(names.REQUEST_ID, job_id)

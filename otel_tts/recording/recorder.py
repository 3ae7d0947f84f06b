# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the request path needs, once per process: settings, clock, devices, identities, and where to leave a record.

The path appends to a bounded deque and is done. Who takes the records from there is told of nothing but the first
request after a long silence: it looks by itself, since waking it per request costs more than all the rest (see
`otel_tts.emit.emitter`).
"""

from __future__ import annotations

import asyncio
import collections
import os
import time
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

from opentelemetry.context import Context

from otel_tts import names
from otel_tts.audio.files.excerpt import Excerpt
from otel_tts.audio.samples.sound import pending
from otel_tts.device.clocks import choice
from otel_tts.device.devices import Devices
from otel_tts.device.memory.readings import StageMemory
from otel_tts.guard import contain
from otel_tts.record import LateSpan, PlainSpan, StageRecord, now
from otel_tts.recording.identity import Identities
from otel_tts.recording.loops.watch import Late, LoopWatch
from otel_tts.recording.server import ServerSpan
from otel_tts.settings import Settings


class Taker(Protocol):
    """Who takes what is recorded and makes telemetry of it."""

    def ends(self, record: LateSpan) -> None:
        """On the request's path, a record is about to be left: note what is known only at this moment."""
        ...

    def handle_now(self, record: LateSpan) -> None:
        """Nobody looks any more: handle the record on this thread."""
        ...

    def wake(self) -> None:
        """On the path of the first request after a long silence: look as often as ever from now on."""
        ...

    def drain(self, timeout: float = 30.0, breathe: bool = True) -> bool:
        """Handle what was left meanwhile."""
        ...

    def note_file(self, synthesis: Any, path: str | bytes | os.PathLike[str], returned: bool = False) -> bool:
        """Take a finished file of a synthesis; False where `path` is no regular file."""
        ...

    def note_excerpt(self, synthesis: Any, excerpt: Excerpt, returned: bool = False, shared: bool = False) -> None:
        """Take audio of a synthesis that was never a file."""
        ...


class Recorder:
    """Everything that lives once per process on the request's path. Without a `taker` it keeps nothing."""

    def __init__(self, tracer_provider: Any, settings: Settings) -> None:
        self.settings = settings
        self.max_stage_spans = settings.max_stage_spans
        self.clock, self.clock_note = choice.choose(settings.clock)
        self.thresholds = settings.thresholds
        self.identities = Identities(tracer_provider)
        self.new_span_id, self.new_trace_id = self.identities.new_span_id, self.identities.new_trace_id
        self.inherits, self.inherited = self.identities.inherits, self.identities.inherited
        self.dropped: collections.Counter[str] = collections.Counter()
        self.not_kept: collections.Counter[str] = collections.Counter()
        """Spans that OTEL_TTS_KEEP did not keep, by reason."""
        self.jobs: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        """Jobs of queues that are not over, by their identity: nothing else says that they will be requests."""
        self.open: dict[int, Any] = {}
        """The open syntheses, by their identity."""
        self.serving: dict[int, ServerSpan] = {}
        """The requests at the process's edges that are not answered yet, by their identity."""
        self.overlaps = 0
        """How often a synthesis began while another one was open."""
        self.devices = Devices(settings, self)
        self.loops = LoopWatch(lambda: bool(self.open), self._note_late_loop)
        self.memory: StageMemory | None = None
        """What notes the device's memory at a stage's ends; None until the application has initialised CUDA."""
        self.warm: set[str] = set()
        """Engines that have spoken here."""
        self.started: collections.deque[Any] = collections.deque()
        self.finished: collections.deque[LateSpan] = collections.deque()
        self.late: collections.deque[LateSpan] = collections.deque()
        """Stages that were opened after their synthesis had ended."""
        self.taker: Taker | None = None
        self.asleep = False
        """The taker looks seldom, since nothing is open and nothing waits; the next request wakes it."""
        self.closed = False
        """Nobody looks at the deques any more."""

    def span(self, name: str, outside: Context, began: int, epoch_offset_ns: int, attrs: dict[str, Any]) -> PlainSpan:
        """Begin a span that is neither a synthesis nor a stage of one; `began` is its `t0`."""
        span = PlainSpan(name, outside, began, epoch_offset_ns, attrs)
        span.begin(self, outside)
        return span

    def begin(self, synthesis: Any) -> None:
        """Take note of an open synthesis; its REQ_START leaves at the next look."""
        if self.closed or self.taker is None:
            return
        engine = synthesis.attrs.get(names.ENGINE)
        if engine is not None and engine not in self.warm:
            self.warm.add(engine)
            synthesis.mark_cold(names.ColdStart.FIRST_REQUEST)
        self.open[id(synthesis)] = synthesis
        if (others := len(self.open) - 1) > 0:
            self.overlaps += 1
            synthesis.attrs[names.OTHERS] = others
        if (loop := asyncio._get_running_loop()) is not None:
            self.loops.note(loop)
        if self.memory is None:
            self.memory = self.devices.find_memory()
        if len(self.started) < self.settings.queue_size:  # beyond it the line leaves with the finished record
            self.started.append(synthesis)
        if self.asleep:
            self.asleep = False
            self.taker.wake()

    def _note_late_loop(self, late: Late) -> None:
        """An event loop was late: a span of its own, dated back. Off the path."""
        attrs: dict[str, Any] = {names.LOOP_CAUSE: late.cause, names.LOOP_CPU: late.cpu / 1e9}
        if late.place is not None:
            attrs[names.LOOP_CODE] = late.place.code
            if late.place.coroutine is not None:
                attrs[names.LOOP_COROUTINE] = late.place.coroutine
        span = self.span(names.SPAN_LOOP_LATE, Context(), late.began, time.time_ns() - now(), attrs)
        span.t1 = late.ended
        self.finish(span)

    def finish(self, record: LateSpan) -> None:
        """Take a finished synthesis or a stage that outlived its synthesis."""
        self.open.pop(id(record), None)
        if (taker := self.taker) is None:
            return
        if self.closed:
            taker.handle_now(record)
        elif len(self.finished) >= self.settings.queue_size:
            self.dropped["queue_full"] += 1
            record.discard()
        else:
            taker.ends(record)
            self.finished.append(record)
            if self.closed:  # meanwhile: nobody else will look
                taker.drain(breathe=False)

    def finish_late(self, synthesis: Any, stage: StageRecord) -> None:
        """Take a stage that ended after its synthesis: whoever removes it from the list emits it."""
        try:
            synthesis.stages.finished.remove(stage)
        except ValueError:
            return
        self.finish(stage)

    def hold_late(self, stage: LateSpan) -> None:
        """Take a stage opened after its synthesis ended; it waits a second for more of its kind to fold into it.

        What is told of such stages as a whole comes behind them.
        """
        if (taker := self.taker) is None:
            return
        if self.closed:
            taker.handle_now(stage)
        elif len(self.late) >= self.settings.queue_size:
            self.dropped["queue_full"] += 1
            stage.discard()
        else:
            self.late.append(stage)

    def renew(self, taken: Sequence[LateSpan]) -> None:
        """Begin anew in a forked child: what is open or waits there is the parent's, and so is what was `taken`."""
        if self.clock is not None:
            self.clock.renew([*self.finished, *self.late, *taken, *self.open.values()])
        contain("gpu", self.devices.renew)
        pending.renew()
        self.memory, self.asleep = None, False
        self.jobs.clear()
        for waiting in (self.open, self.serving, self.started, self.finished, self.late, self.dropped):
            waiting.clear()


_installed: Recorder | None = None


def current() -> Recorder | None:
    """Return the process's recorder, or None while otel-tts is not configured."""
    return _installed


def install(recorder: Recorder) -> None:
    """Make `recorder` the process's own."""
    global _installed
    _installed = recorder


def uninstall() -> None:
    """Forget the process's recorder (tests)."""
    global _installed
    _installed = None
